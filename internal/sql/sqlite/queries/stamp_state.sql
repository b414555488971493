-- The registry's id, whether the streams have it, and the checkpoint.
SELECT registry_id, streams_stamped, coalesce(checkpoint_stream, ''), checkpoint_sequence FROM registry_stamp
