BEGIN TRANSACTION;
CREATE TABLE outputs (
            run TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, data TEXT NOT NULL,
            PRIMARY KEY (run, name)
        );
INSERT INTO "outputs" VALUES('20261129-120821-1cff8424c0d5','total',1,'{"name":"total","step":"sum","format":"json","file":"total-11239872d1.json","size":6,"type":"float","python":"a70d0d0a 3.11.7","digest":"075e3f75733496fe38a563df1c4bdf0038cadbdc81dc8a45b86b7942169479e6","preview":"95.965","detail":{"files":["total-11239872d1.json"]},"error":""}');
INSERT INTO "outputs" VALUES('20261129-120821-1cff8424c0d5','said',2,'{"name":"said","step":"sum","format":"json","file":"said-fb46c79b7e.json","size":17,"type":"str, 15","python":"a70d0d0a 3.11.7","digest":"979c66010c54addf4c8005de549296eadfc8461e3632b2265a518689fe7c5bed","preview":"L since 2026-01","detail":{"files":["said-fb46c79b7e.json"]},"error":""}');
INSERT INTO "outputs" VALUES('20261129-120821-1cff8424c0d5','kept',3,'{"name":"kept","step":"sum","format":"cloudpickle","file":"kept-79f076abdd.pkl","size":63,"type":"OrderedDict","python":"a70d0d0a 3.11.7","digest":"56f81657807388b07545f06f5a3ded5779d4474a3dbd85b4d7f3048cfc4dd395","preview":"OrderedDict([(''total'', 95.965)])","detail":{"files":["kept-79f076abdd.pkl"]},"error":""}');
CREATE TABLE runs (
            id TEXT PRIMARY KEY, flow TEXT NOT NULL, folder TEXT NOT NULL, state TEXT NOT NULL,
            created TEXT NOT NULL, started TEXT, ended TEXT, attempt INTEGER NOT NULL, data TEXT NOT NULL
        );
INSERT INTO "runs" VALUES('20261129-120821-1cff8424c0d5','old','.flownb/runs/20261129-120821-1cff8424c0d5','Success','2026-11-29T12:08:21.113486+00:00','2026-11-29T12:08:21.199432+00:00','2026-11-29T12:08:24.733265+00:00',1,'{"storage":{"kind":"memory"},"location":"old@2b4be154fe92","version":"2b4be154fe92","digest":"2b4be154fe9275f19f22f6d2cda8ea60fbaaae2ce405356c83d1ff811da8746d","parameters":{},"environment":{"type":"local","schema":1,"labels":[],"engine":"flownb","kernel":null,"timeout":null,"step_timeout":null,"memory":null,"cwd":null,"env":{},"retries":0,"backoff":1.0,"on_start":[],"on_exit":[]},"labels":[],"asked_by":"python","error":null,"engine":"flownb","metrics":{"cpu_seconds":0.35,"peak_memory_bytes":128499712},"callback_errors":[]}');
CREATE TABLE steps (
            run TEXT NOT NULL, position INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (run, position)
        );
INSERT INTO "steps" VALUES('20261129-120821-1cff8424c0d5',0,'{"name":"load","position":0,"state":"Success","started":"2026-11-29T12:08:24.323157+00:00","ended":"2026-11-29T12:08:24.373930+00:00","seconds":0.050968,"cpu_seconds":0.0,"peak_memory_bytes":125853696,"error":null}');
INSERT INTO "steps" VALUES('20261129-120821-1cff8424c0d5',1,'{"name":"sum","position":1,"state":"Success","started":"2026-11-29T12:08:24.374325+00:00","ended":"2026-11-29T12:08:24.382174+00:00","seconds":0.007898,"cpu_seconds":0.0,"peak_memory_bytes":125997056,"error":null}');
CREATE INDEX runs_by_time ON runs (created, id);
CREATE INDEX runs_by_flow ON runs (flow, created);
CREATE INDEX live_runs ON runs (state) WHERE state IN ('Pending', 'Running');
COMMIT;
PRAGMA user_version = 1;
