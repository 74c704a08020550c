-- Rows as Pipelines 2.16.0 writes them: two profiles, a shared pipeline, a recurring run, runs in each state.
INSERT INTO db_statuses (HaveSamplesLoaded) VALUES (1);
INSERT INTO default_experiments (DefaultExperimentId) VALUES ('');
INSERT INTO experiments (UUID, Name, Description, CreatedAtInSec, LastRunCreatedAtInSec, Namespace, StorageState) VALUES
('e-1', 'Default', '', 1764400000, 1764401000, 'team-a', 'AVAILABLE'),
('e-2', '欺诈检测', '每晚重新训练', 1764400100, 0, 'team-b', 'ARCHIVED');
INSERT INTO pipelines (UUID, CreatedAtInSec, Name, DisplayName, Description, Parameters, Status, DefaultVersionId, Namespace) VALUES
('p-1', 1764400000, 'train', 'Train', 'a shared one', NULL, 'READY', 'v-2', ''),
('p-2', 1764400001, 'fraud', '欺诈检测', '', '[]', 'READY', 'v-3', 'team-b');
INSERT INTO pipeline_versions (UUID, CreatedAtInSec, Name, DisplayName, Parameters, PipelineId, Status, CodeSourceUrl, Description, PipelineSpec, PipelineSpecURI) VALUES
('v-1', 1764400000, 'train', 'Train', '', 'p-1', 'READY', '', NULL, CONCAT('pipelineInfo: {name: train}\n', REPEAT('# a long specification\n', 20000)), ''),
('v-2', 1764400500, 'train-2', 'Train 2', '', 'p-1', 'READY', '', '说明', 'pipelineInfo: {name: train}', ''),
('v-3', 1764400600, 'fraud', '欺诈检测', '', 'p-2', 'READY', '', '', 'pipelineInfo: {name: fraud}', '');
INSERT INTO jobs (UUID, DisplayName, Name, Namespace, ServiceAccount, Description, MaxConcurrency, NoCatchup, CreatedAtInSec, UpdatedAtInSec, Enabled, ExperimentUUID, Schedule, IntervalSecond, PipelineId, PipelineVersionId, PipelineName, PipelineSpecManifest, RuntimeParameters, PipelineRoot, Conditions) VALUES
('j-1', '每晚', 'nightly', 'team-b', 'default-editor', '', 1, 1, 1764400700, 1764400700, 1, 'e-2', '0 0 2 * * *', NULL, 'p-2', 'v-3', 'fraud', 'pipelineInfo: {name: fraud}', '{"rate":0.1}', '', 'ENABLED');
INSERT INTO run_details (UUID, DisplayName, Name, Description, Namespace, ExperimentUUID, JobUUID, StorageState, ServiceAccount, PipelineId, PipelineVersionId, PipelineName, PipelineSpecManifest, RuntimeParameters, PipelineRoot, CreatedAtInSec, ScheduledAtInSec, FinishedAtInSec, Conditions, State, StateHistory, PipelineRuntimeManifest, WorkflowRuntimeManifest, PipelineContextId, PipelineRunContextId) VALUES
('r-1', 'first', 'train-abcde', '', 'team-a', 'e-1', NULL, 'AVAILABLE', 'default-editor', 'p-1', 'v-1', 'train', 'pipelineInfo: {name: train}', '{}', 's3://bucket/artifacts/team-a', 1764401000, 1764401000, 1764401300, 'Succeeded', 'SUCCEEDED', '[{"update_time":{"seconds":1764401000},"state":"PENDING"}]', '', '{"kind":"Workflow"}', 1, 2),
('r-2', '第二次', 'fraud-fghij', '', 'team-b', 'e-2', 'j-1', 'ARCHIVED', 'default-editor', 'p-2', 'v-3', 'fraud', NULL, NULL, NULL, 1764402000, 1764402000, 1764402100, 'Failed', 'FAILED', NULL, '', '', 0, 0),
('r-3', 'running', 'train-klmno', '', 'team-a', 'e-1', NULL, 'AVAILABLE', 'default-editor', 'p-1', 'v-2', 'train', NULL, NULL, NULL, 1764403000, 1764403000, 0, 'Running', 'RUNNING', NULL, '', '', 0, 0);
INSERT INTO run_metrics (RunUUID, NodeID, Name, NumberValue, Format, Payload) VALUES
('r-1', 'train', 'accuracy', 0.912345678901234, 'PERCENTAGE', '{}');
INSERT INTO tasks (UUID, Namespace, PipelineName, RunUUID, PodName, MLMDExecutionID, CreatedTimestamp, StartedTimestamp, FinishedTimestamp, Fingerprint, Name, State, MLMDOutputs, ChildrenPods) VALUES
('t-1', 'team-a', 'namespace/team-a/pipeline/train', 'r-1', 'train-abcde-1', '17', 1764401010, 1764401020, 1764401200, 'a7f3', 'train', 'SUCCEEDED', '{"model":17}', '["train-abcde-2"]'),
('t-2', 'team-b', 'namespace/team-b/pipeline/fraud', 'r-2', 'fraud-fghij-1', '18', 1764402010, 1764402020, 1764402090, '', 'fraud', 'FAILED', NULL, NULL);
INSERT INTO resource_references (ResourceUUID, ResourceType, ReferenceUUID, ReferenceName, ReferenceType, Relationship, Payload) VALUES
('r-1', 'Run', 'e-1', 'Default', 'Experiment', 'OWNER', ''),
('r-2', 'Run', 'j-1', 'nightly', 'Job', 'CREATOR', '');
