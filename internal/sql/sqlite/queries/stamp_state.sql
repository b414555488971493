-- The registry's id, whether the streams have it, before when requests may be pruned, and the checkpoint.
SELECT registry_id, streams_stamped, CAST(coalesce(pruned_before, '') AS TEXT), coalesce(checkpoint_stream, ''), checkpoint_sequence FROM registry_stamp
