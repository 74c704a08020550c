-- Rows as Pipelines 1.8.2 and 2.0.0-alpha.7 write them (backend/src/apiserver/storage): two profiles, a shared pipeline,
-- a recurring run, runs in each state. Their API has no display names, states or versions in columns of their own.
INSERT INTO db_statuses (HaveSamplesLoaded) VALUES (1);
INSERT INTO default_experiments (DefaultExperimentId) VALUES ('');
INSERT INTO experiments (UUID, Name, Description, CreatedAtInSec, Namespace, StorageState) VALUES
('e-1', 'Default', '', 1654400000, 'team-a', 'STORAGESTATE_AVAILABLE'),
('e-2', '欺诈检测', '每晚重新训练', 1654400100, 'team-b', 'STORAGESTATE_ARCHIVED'),
('e-3', 'Default', '', 1654400200, 'team-b', 'STORAGESTATE_AVAILABLE');
INSERT INTO pipelines (UUID, CreatedAtInSec, Name, Description, Parameters, Status, DefaultVersionId, Namespace) VALUES
('p-1', 1654400000, 'Train', 'a shared one', '[]', 'READY', 'v-2', ''),
('p-2', 1654400001, '欺诈检测', '', '[{"name":"rate","value":"0.1"}]', 'READY', 'v-3', 'team-b'),
('p-3', 1654400002, 'Train', '', '[]', 'READY', 'p-3', 'team-b');
INSERT INTO pipeline_versions (UUID, CreatedAtInSec, Name, Parameters, PipelineId, Status, CodeSourceUrl, Description) VALUES
('v-1', 1654400000, 'Train', '[]', 'p-1', 'READY', '', ''),
('v-2', 1654400500, 'Train 2', '[]', 'p-1', 'READY', 'https://git.example.com/train', '说明'),
('v-3', 1654400600, '欺诈检测', '[{"name":"rate","value":"0.1"}]', 'p-2', 'READY', '', ''),
('p-3', 1654400002, 'Train', '[]', 'p-3', 'READY', '', '');
INSERT INTO jobs (UUID, DisplayName, Name, Namespace, ServiceAccount, Description, MaxConcurrency, NoCatchup, CreatedAtInSec, UpdatedAtInSec, Enabled, Schedule, IntervalSecond, PipelineId, PipelineName, PipelineSpecManifest, WorkflowSpecManifest, Parameters, Conditions) VALUES
('j-1', '每晚', 'nightlyx7kq2', 'team-b', 'default-editor', '', 1, 1, 1654400700, 1654400700, 1, '0 0 2 * * *', NULL, 'p-2', '欺诈检测', '', CONCAT('{"kind":"Workflow"}', REPEAT(' ', 70000)), '[{"name":"rate","value":"0.1"}]', 'Enabled'),
('j-2', 'hourly', 'hourlyfh2kd', 'team-a', 'default-editor', '', 1, 0, 1654400800, 1654400900, 0, NULL, 3600, '', '', '', '{"kind":"Workflow"}', '[]', 'Disabled');
INSERT INTO run_details (UUID, ExperimentUUID, DisplayName, Name, StorageState, Namespace, ServiceAccount, Description, CreatedAtInSec, ScheduledAtInSec, FinishedAtInSec, Conditions, PipelineId, PipelineName, PipelineSpecManifest, WorkflowSpecManifest, Parameters, PipelineRuntimeManifest, WorkflowRuntimeManifest) VALUES
('r-1', 'e-1', 'first', 'train-abcde', 'STORAGESTATE_AVAILABLE', 'team-a', 'default-editor', '', 1654401000, 0, 1654401300, 'Succeeded', 'p-1', 'Train', '', '{"kind":"Workflow"}', '[]', '', CONCAT('{"kind":"Workflow"}', REPEAT(' ', 200000))),
('r-2', 'e-2', '第二次', 'fraud-fghij', 'STORAGESTATE_ARCHIVED', 'team-b', 'default-editor', '', 1654402000, 1654402000, 1654402100, 'Failed', 'p-2', '欺诈检测', '', '{"kind":"Workflow"}', '[]', '', '{"kind":"Workflow"}'),
('r-3', 'e-1', 'running', 'train-klmno', 'STORAGESTATE_AVAILABLE', 'team-a', 'default-editor', '', 1654403000, 0, 0, 'Running', '', '', '', '{"kind":"Workflow"}', '[]', '', '{"kind":"Workflow"}'),
('r-4', '', 'of no experiment', 'train-pqrst', 'STORAGESTATE_AVAILABLE', '', '', '', 1654404000, 0, 1654404100, '', '', '', '', '{"kind":"Workflow"}', '[]', '', '{"kind":"Workflow"}');
INSERT INTO run_metrics (RunUUID, NodeID, Name, NumberValue, Format, Payload) VALUES
('r-1', 'train-abcde-1234', 'accuracy', 0.912345678901234, 'PERCENTAGE', '{"RunUUID":"r-1","NodeID":"train-abcde-1234","Name":"accuracy","NumberValue":0.912345678901234,"Format":"PERCENTAGE","Payload":""}');
INSERT INTO tasks (UUID, Namespace, PipelineName, RunUUID, MLMDExecutionID, CreatedTimestamp, FinishedTimestamp, Fingerprint) VALUES
('t-1', 'team-a', 'namespace/team-a/pipeline/train', 'r-1', '17', 1654401010, 1654401200, 'a7f3');
INSERT INTO resource_references (ResourceUUID, ResourceType, ReferenceUUID, ReferenceName, ReferenceType, Relationship, Payload) VALUES
('e-1', 'Experiment', 'team-a', 'team-a', 'Namespace', 'Owner', '{"ResourceUUID":"e-1","ResourceType":"Experiment","ReferenceUUID":"team-a","ReferenceName":"team-a","ReferenceType":"Namespace","Relationship":"Owner","Payload":""}'),
('r-1', 'Run', 'e-1', 'Default', 'Experiment', 'Owner', '{"ResourceUUID":"r-1","ResourceType":"Run","ReferenceUUID":"e-1","ReferenceName":"Default","ReferenceType":"Experiment","Relationship":"Owner","Payload":""}'),
('r-1', 'Run', 'v-1', 'Train', 'PipelineVersion', 'Creator', '{"ResourceUUID":"r-1","ResourceType":"Run","ReferenceUUID":"v-1","ReferenceName":"Train","ReferenceType":"PipelineVersion","Relationship":"Creator","Payload":""}'),
('r-2', 'Run', 'e-2', '欺诈检测', 'Experiment', 'Owner', '{"ResourceUUID":"r-2","ResourceType":"Run","ReferenceUUID":"e-2","ReferenceName":"欺诈检测","ReferenceType":"Experiment","Relationship":"Owner","Payload":""}'),
('r-2', 'Run', 'j-1', '每晚', 'Job', 'Creator', '{"ResourceUUID":"r-2","ResourceType":"Run","ReferenceUUID":"j-1","ReferenceName":"每晚","ReferenceType":"Job","Relationship":"Creator","Payload":""}'),
('j-1', 'Job', 'e-2', '欺诈检测', 'Experiment', 'Owner', '{"ResourceUUID":"j-1","ResourceType":"Job","ReferenceUUID":"e-2","ReferenceName":"欺诈检测","ReferenceType":"Experiment","Relationship":"Owner","Payload":""}'),
('j-1', 'Job', 'v-3', '欺诈检测', 'PipelineVersion', 'Creator', '{"ResourceUUID":"j-1","ResourceType":"Job","ReferenceUUID":"v-3","ReferenceName":"欺诈检测","ReferenceType":"PipelineVersion","Relationship":"Creator","Payload":""}');
