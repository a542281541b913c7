"""Making a commit: transactions, definitions, keys, bulk load.

Read `transaction` first (with `staged`, what it holds), then `overlay` (one table as a transaction
sees it; `written` is its own part of that) and `staging` (one statement of a few rows). `bulk`,
`bulk_replace` and `sweep` are the same for many rows, which lie in `runs` and `spool`. `ddl`
(with `ddl_clone`, `ddl_views` and `parameters`) and `load` are made of these;
`temporary` are a session's own tables.
"""
