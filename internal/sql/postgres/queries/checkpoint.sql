-- The checkpoint: when the stream of outcomes was created, and a sequence in it.
SELECT coalesce(checkpoint_stream, ''), checkpoint_sequence FROM {registry}.registry_stamp
