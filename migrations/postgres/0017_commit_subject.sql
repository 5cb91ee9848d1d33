-- How a project words its commits: the template of their subjects, and of their authors' addresses. NULL for what Waybill writes by itself.
ALTER TABLE projects ADD COLUMN commit_subject TEXT COLLATE "C";
ALTER TABLE projects ADD COLUMN author_address TEXT COLLATE "C";
