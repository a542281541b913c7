-- COPY from files needs a location; see test_copy for the rest.
CREATE TABLE t (id INT, v VARCHAR);
COPY INTO t FROM '/no/such/folder/x.csv' FILE_FORMAT = (TYPE = CSV);
-> error E_SOURCE_UNREADABLE: x.csv
SELECT COUNT(*) AS n FROM t;
| n |
| 0 |
