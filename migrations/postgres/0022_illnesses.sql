-- What was wrong with the workload of a promotion, as it was seen last: its pod, the reason, the last events.
CREATE TABLE illnesses (
    promotion_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES promotions (id),
    illness TEXT COLLATE "C" NOT NULL               -- JSON
);
