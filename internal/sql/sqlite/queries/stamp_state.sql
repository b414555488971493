-- The registry's id, and whether the streams have it.
SELECT registry_id, streams_stamped FROM registry_stamp
