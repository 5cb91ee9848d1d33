-- Each read of Git asks what of its project is being committed: a few of perhaps millions of promotions.
CREATE INDEX promotions_committing ON promotions (project_id) WHERE state = 'committing';
