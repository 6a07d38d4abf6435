import GRDB

/// The migrations of the schema. Never edit a migration that was released: append a new one.
enum Migrations {
    static func register(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration("1 records") { database in
            try database.execute(
                sql: """
                    CREATE TABLE record (
                        module TEXT NOT NULL, collection TEXT NOT NULL, key TEXT NOT NULL,
                        value BLOB NOT NULL, sequence INTEGER NOT NULL,
                        PRIMARY KEY (module, collection, key)
                    ) WITHOUT ROWID;
                    CREATE INDEX record_by_age ON record (module, collection, sequence);
                    """)
        }
        migrator.registerMigration("2 audit and secrets") { database in
            try database.execute(
                sql: """
                    CREATE TABLE audit (
                        sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
                        time REAL NOT NULL, backend TEXT NOT NULL, person TEXT NOT NULL, name TEXT NOT NULL,
                        room TEXT, line TEXT NOT NULL, allowed INTEGER NOT NULL, rule INTEGER, reason TEXT NOT NULL,
                        executions TEXT NOT NULL DEFAULT ''
                    );
                    CREATE INDEX audit_by_time ON audit (time);
                    CREATE INDEX audit_by_person ON audit (person, sequence);
                    CREATE INDEX audit_by_name ON audit (name, sequence);
                    CREATE TABLE secret (
                        module TEXT NOT NULL, collection TEXT NOT NULL, key TEXT NOT NULL,
                        key_id TEXT NOT NULL, sealed BLOB NOT NULL, time REAL NOT NULL,
                        PRIMARY KEY (module, collection, key)
                    ) WITHOUT ROWID;
                    """)
        }
        migrator.registerMigration("3 outbox and ledger") { database in
            try database.execute(
                sql: """
                    CREATE TABLE outbox (
                        sequence INTEGER PRIMARY KEY, backend TEXT NOT NULL, place TEXT NOT NULL,
                        direct INTEGER NOT NULL, thread TEXT, in_reply_to TEXT, text TEXT NOT NULL,
                        style TEXT NOT NULL, kind TEXT NOT NULL, private INTEGER NOT NULL, extra BLOB,
                        promises TEXT, settles TEXT, said REAL NOT NULL, pieces INTEGER NOT NULL,
                        state INTEGER NOT NULL DEFAULT 0, reason TEXT, died REAL
                    );
                    CREATE INDEX outbox_not_waiting ON outbox (state, sequence) WHERE state != 0;
                    CREATE TABLE ledger (
                        sequence INTEGER PRIMARY KEY AUTOINCREMENT, module TEXT NOT NULL,
                        content BLOB NOT NULL, source TEXT
                    );
                    CREATE INDEX ledger_by_content ON ledger (module, content, sequence) WHERE source IS NULL;
                    CREATE UNIQUE INDEX ledger_by_source ON ledger (module, source) WHERE source IS NOT NULL;
                    """)
        }
        migrator.registerMigration("4 ledger in its order") { database in
            try database.execute(
                sql: """
                    DROP INDEX ledger_by_content;
                    CREATE INDEX ledger_without_source ON ledger (module, sequence, content) WHERE source IS NULL;
                    """)
        }
        migrator.registerMigration("5 buttons and forms") { database in
            try database.execute(sql: "ALTER TABLE outbox ADD COLUMN controls BLOB")
        }
        migrator.registerMigration("6 journal") { database in
            try database.execute(
                sql: "CREATE TABLE journal (applied INTEGER NOT NULL); INSERT INTO journal VALUES (0);")
        }
        migrator.registerMigration("7 repeats") { database in
            try database.execute(sql: "ALTER TABLE audit ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0")
        }
        migrator.registerMigration("8 logs") { database in
            try database.execute(
                sql: """
                    CREATE TABLE log (
                        number INTEGER PRIMARY KEY AUTOINCREMENT, module TEXT NOT NULL, collection TEXT NOT NULL,
                        name TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, time REAL NOT NULL,
                        UNIQUE (module, collection, name)
                    );
                    CREATE INDEX log_by_time ON log (module, collection, time);
                    CREATE TABLE log_chunk (
                        sequence INTEGER PRIMARY KEY AUTOINCREMENT, log INTEGER NOT NULL, place INTEGER NOT NULL,
                        stream INTEGER NOT NULL, bytes BLOB NOT NULL
                    );
                    CREATE UNIQUE INDEX log_chunk_by_place ON log_chunk (log, place);
                    """)
        }
        migrator.registerMigration("9 private rooms") { database in
            try database.execute(sql: "ALTER TABLE audit ADD COLUMN private INTEGER NOT NULL DEFAULT 0")
        }
    }
}
