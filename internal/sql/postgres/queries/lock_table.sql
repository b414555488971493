-- Keeps writers out until the end of the transaction: a row that is not committed yet would not be seen.
LOCK TABLE {relation} IN SHARE MODE
