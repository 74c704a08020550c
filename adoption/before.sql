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

-- Pipelines without a namespace, which nobody sees in the lists of the new platform, and where each was run.
SELECT p.UUID AS without_namespace, p.Name AS name, GROUP_CONCAT(DISTINCT used.Namespace ORDER BY used.Namespace) AS run_in
  FROM mlpipeline.pipelines AS p LEFT JOIN (
    SELECT PipelineId, Namespace FROM mlpipeline.run_details WHERE PipelineId <> ''
    UNION SELECT v.PipelineId, r.Namespace FROM mlpipeline.resource_references AS f
      JOIN mlpipeline.pipeline_versions AS v ON v.UUID = f.ReferenceUUID
      JOIN mlpipeline.run_details AS r ON r.UUID = f.ResourceUUID
      WHERE f.ResourceType = 'Run' AND f.ReferenceType = 'PipelineVersion'
  ) AS used ON used.PipelineId = p.UUID
  WHERE p.Namespace = '' GROUP BY p.UUID, p.Name ORDER BY p.Name;

-- Rows, to compare afterwards; schema 7 is ML Metadata 1.5. Of an event that is there twice, the newest moves alone.
SELECT 'runs' AS what, COUNT(*) AS number FROM mlpipeline.run_details
UNION ALL SELECT 'archived runs', COUNT(*) FROM mlpipeline.run_details WHERE StorageState = 'STORAGESTATE_ARCHIVED'
UNION ALL SELECT 'archived experiments', COUNT(*) FROM mlpipeline.experiments WHERE StorageState = 'STORAGESTATE_ARCHIVED'
UNION ALL SELECT 'pipelines', COUNT(*) FROM mlpipeline.pipelines
UNION ALL SELECT 'pipeline versions', COUNT(*) FROM mlpipeline.pipeline_versions
UNION ALL SELECT 'recurring runs', COUNT(*) FROM mlpipeline.jobs
UNION ALL SELECT 'tables of another collation', COUNT(*) FROM information_schema.TABLES AS t
  JOIN information_schema.SCHEMATA AS s ON s.SCHEMA_NAME = t.TABLE_SCHEMA
  WHERE t.TABLE_SCHEMA = 'mlpipeline' AND t.TABLE_COLLATION <> s.DEFAULT_COLLATION_NAME
UNION ALL SELECT 'executions', COUNT(*) FROM metadb.Execution
UNION ALL SELECT 'artifacts', COUNT(*) FROM metadb.Artifact
UNION ALL SELECT 'events', COUNT(*) FROM metadb.Event
UNION ALL SELECT 'events that are there already', COUNT(*) - COUNT(DISTINCT artifact_id, execution_id, type) FROM metadb.Event
UNION ALL SELECT 'schema of ML Metadata', MAX(schema_version) FROM metadb.MLMDEnv
UNION ALL SELECT 'metrics of Katib', COUNT(*) FROM kubeflow.observation_logs;
