-- Blocks writers until the end of the transaction: a row that is not committed yet would not be visible.
LOCK TABLE {relation} IN SHARE MODE
