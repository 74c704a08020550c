-- See test_old_databases.py.
CREATE DATABASE mlpipeline;
CREATE DATABASE cachedb;
CREATE DATABASE metadb;
CREATE DATABASE kubeflow;
CREATE TABLE mlpipeline.experiments (UUID varchar(255) PRIMARY KEY, Name varchar(255), Namespace varchar(255));
CREATE TABLE mlpipeline.pipelines (UUID varchar(255) PRIMARY KEY, Name varchar(255), Namespace varchar(255));
CREATE TABLE mlpipeline.pipeline_versions (UUID varchar(255) PRIMARY KEY, Name varchar(255), PipelineId varchar(255));
CREATE TABLE mlpipeline.run_details
  (UUID varchar(255) PRIMARY KEY, Namespace varchar(255), Conditions varchar(255), WorkflowRuntimeManifest longtext);
CREATE TABLE mlpipeline.run_metrics (RunUUID varchar(255), NodeID varchar(255), Name varchar(255));
CREATE TABLE mlpipeline.jobs (UUID varchar(255) PRIMARY KEY);
CREATE TABLE metadb.MLMDEnv (schema_version int PRIMARY KEY);
CREATE TABLE metadb.Execution (id int PRIMARY KEY);
CREATE TABLE metadb.Artifact (id int PRIMARY KEY);
CREATE TABLE metadb.Event (id int PRIMARY KEY);
CREATE TABLE kubeflow.observation_logs (trial_name varchar(255));
INSERT INTO metadb.MLMDEnv VALUES (7);
INSERT INTO metadb.Event VALUES (1), (2), (3);
INSERT INTO mlpipeline.pipelines VALUES ('p1', REPEAT('n', 128), ''), ('p2', REPEAT('n', 129), 'team-a');
INSERT INTO mlpipeline.pipeline_versions VALUES ('v1', REPEAT('n', 127), 'p1'), ('v2', REPEAT('n', 128), 'p2');
INSERT INTO mlpipeline.run_details VALUES
  ('r1', 'team-a', 'Succeeded', '{}'), ('r2', REPEAT('t', 64), REPEAT('c', 126), '{}');
INSERT INTO mlpipeline.run_metrics VALUES ('r1', REPEAT('m', 192), REPEAT('m', 192));
INSERT INTO mlpipeline.experiments VALUES ('e1', REPEAT('e', 129), REPEAT('t', 64));
