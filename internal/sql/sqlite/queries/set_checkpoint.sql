-- Moves the checkpoint from ?1, ?2 to ?3, ?4.
UPDATE registry_stamp SET checkpoint_stream = ?3, checkpoint_sequence = ?4
WHERE coalesce(checkpoint_stream, '') = ?1 AND checkpoint_sequence = ?2
