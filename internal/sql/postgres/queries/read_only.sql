-- Not a start-up parameter: with it, every server would look read-only to target_session_attrs=read-write.
SET default_transaction_read_only = on
