-- Not as a start-up parameter: a server found so would seem read-only to target_session_attrs=read-write.
SET default_transaction_read_only = on
