-- Beside the tables of Pipelines (tests/upgrade/old_pipelines_schema.yaml): see test_old_databases.py.
CREATE DATABASE cachedb;
CREATE DATABASE metadb;
CREATE DATABASE kubeflow;
CREATE TABLE metadb.MLMDEnv (schema_version int PRIMARY KEY);
CREATE TABLE metadb.Execution (id int PRIMARY KEY);
CREATE TABLE metadb.Artifact (id int PRIMARY KEY);
CREATE TABLE metadb.Event (id int PRIMARY KEY, artifact_id int, execution_id int, type int);
CREATE TABLE kubeflow.observation_logs (trial_name varchar(255));
INSERT INTO metadb.MLMDEnv VALUES (7);
INSERT INTO metadb.Event VALUES (1, 1, 1, 4), (2, 1, 2, 3), (3, 1, 1, 4);
UPDATE mlpipeline.pipelines SET Name = REPEAT('n', 128) WHERE UUID = 'p-1';
UPDATE mlpipeline.pipelines SET Name = REPEAT('n', 129) WHERE UUID = 'p-2';
UPDATE mlpipeline.pipeline_versions SET Name = REPEAT('n', 127) WHERE UUID = 'v-1';
UPDATE mlpipeline.pipeline_versions SET Name = REPEAT('n', 128) WHERE UUID = 'v-2';
UPDATE mlpipeline.run_details SET Namespace = REPEAT('t', 64), Conditions = REPEAT('c', 126) WHERE UUID = 'r-2';
UPDATE mlpipeline.run_metrics SET NodeID = REPEAT('m', 192), Name = REPEAT('m', 192);
UPDATE mlpipeline.experiments SET Name = REPEAT('e', 129), Namespace = REPEAT('t', 64) WHERE UUID = 'e-3';
