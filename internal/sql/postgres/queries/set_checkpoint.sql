-- Moves the checkpoint from $1, $2 to $3, $4.
UPDATE {registry}.registry_stamp SET checkpoint_stream = $3::text, checkpoint_sequence = $4::bigint
WHERE coalesce(checkpoint_stream, '') = $1::text AND checkpoint_sequence = $2::bigint
