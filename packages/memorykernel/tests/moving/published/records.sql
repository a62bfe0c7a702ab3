-- Two of the records of memory_records.ndjson as a SQLite file can hold them whose columns have the names of the
-- wire, and whose JSON columns end with _json. Written by hand, from the description in the guide.
CREATE TABLE memory_records (
  memory_version_id TEXT PRIMARY KEY, memory_id TEXT NOT NULL, version INTEGER NOT NULL,
  created_at TEXT NOT NULL, effective_at TEXT NOT NULL, truth_status TEXT NOT NULL, authority TEXT NOT NULL,
  confidence REAL, writer TEXT NOT NULL, justification TEXT NOT NULL, source_uri TEXT NOT NULL,
  source_hash TEXT, evidence_json TEXT NOT NULL, record_type TEXT NOT NULL, payload_json TEXT NOT NULL
);
CREATE TABLE memory_links (
  from_memory_version_id TEXT NOT NULL, to_memory_version_id TEXT NOT NULL, relation TEXT NOT NULL
);
INSERT INTO memory_records VALUES (
  '01HQ3V5Y8A0000000000000004', '01HQ3V5Y8A00000000000000A4', 1, '2024-03-03T10:11:12.000001Z',
  '2024-03-03T10:11:12.000001Z', 'inferred', 'note', 0.3, 'assistant', 'follows from two tickets',
  'urn:ticket:44', NULL, '["Straße ☃","\"quoted\""]', 'decision',
  '{"summary":"机密 files stay on managed devices"}'
), (
  '01HQ3V5Y8A0000000000000002', '01HQ3V5Y8A00000000000000A2', 1, '2024-02-20T09:00:01.5Z',
  '2024-02-20T09:00:01.5Z', 'observed', 'derived', 0.75, 'importer', 'seen in use',
  'https://example.org/audit', NULL, '[]', 'constraint',
  '{"scope":{"actor":"*","action":"use","resource":"usb_drive"},"effect":"allow","note":null}'
);
INSERT INTO memory_links VALUES ('01HQ3V5Y8A0000000000000004', '01HQ3V5Y8A0000000000000002', 'contradicts');
PRAGMA user_version = 1;
