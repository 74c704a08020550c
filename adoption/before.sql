-- What the database of an old platform has, and what keeps Pipelines 2.16 and later from starting on it: values longer
-- than their new columns (kubeflow/pipelines 2.16.0 backend/src/apiserver/validation/length.go), one row each.
SELECT 'experiments.Name' AS too_long, UUID AS id, CHAR_LENGTH(Name) AS characters, 128 AS most
  FROM mlpipeline.experiments WHERE CHAR_LENGTH(Name) > 128
UNION ALL SELECT 'experiments.Namespace', UUID, CHAR_LENGTH(Namespace), 63
  FROM mlpipeline.experiments WHERE CHAR_LENGTH(Namespace) > 63
UNION ALL SELECT 'pipelines.Name', UUID, CHAR_LENGTH(Name), 128
  FROM mlpipeline.pipelines WHERE CHAR_LENGTH(Name) > 128
UNION ALL SELECT 'pipelines.Namespace', UUID, CHAR_LENGTH(Namespace), 63
  FROM mlpipeline.pipelines WHERE CHAR_LENGTH(Namespace) > 63
UNION ALL SELECT 'pipeline_versions.Name', UUID, CHAR_LENGTH(Name), 127
  FROM mlpipeline.pipeline_versions WHERE CHAR_LENGTH(Name) > 127
UNION ALL SELECT 'run_details.Namespace', UUID, CHAR_LENGTH(Namespace), 63
  FROM mlpipeline.run_details WHERE CHAR_LENGTH(Namespace) > 63
UNION ALL SELECT 'run_details.Conditions', UUID, CHAR_LENGTH(Conditions), 125
  FROM mlpipeline.run_details WHERE CHAR_LENGTH(Conditions) > 125
UNION ALL SELECT 'run_metrics.Name', RunUUID, CHAR_LENGTH(Name), 191
  FROM mlpipeline.run_metrics WHERE CHAR_LENGTH(Name) > 191
UNION ALL SELECT 'run_metrics.NodeID', RunUUID, CHAR_LENGTH(NodeID), 191
  FROM mlpipeline.run_metrics WHERE CHAR_LENGTH(NodeID) > 191;

-- Rows, to compare afterwards; schema 7 is ML Metadata 1.5.
SELECT 'runs' AS what, COUNT(*) AS number FROM mlpipeline.run_details
UNION ALL SELECT 'pipelines', COUNT(*) FROM mlpipeline.pipelines
UNION ALL SELECT 'pipeline versions', COUNT(*) FROM mlpipeline.pipeline_versions
UNION ALL SELECT 'recurring runs', COUNT(*) FROM mlpipeline.jobs
UNION ALL SELECT 'executions', COUNT(*) FROM metadb.Execution
UNION ALL SELECT 'artifacts', COUNT(*) FROM metadb.Artifact
UNION ALL SELECT 'events', COUNT(*) FROM metadb.Event
UNION ALL SELECT 'schema of ML Metadata', MAX(schema_version) FROM metadb.MLMDEnv
UNION ALL SELECT 'metrics of Katib', COUNT(*) FROM kubeflow.observation_logs;
