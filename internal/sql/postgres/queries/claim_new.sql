-- Claims the first attempt at a request that the ledger does not have, and returns the registered id that equals its
-- tenant's without regard to case, and the checkpoint. Returns no row if the ledger has the request; claim.sql then
-- claims. The commit is asynchronous, because it only counts attempts. Parameters: see begin_request.sql
{begin_request}
ON CONFLICT (request_key) DO NOTHING
RETURNING pg_catalog.set_config('synchronous_commit', 'off', true), coalesce((
{find_tenant}), ''),
    (SELECT coalesce(checkpoint_stream, '') FROM {registry}.registry_stamp),
    (SELECT checkpoint_sequence FROM {registry}.registry_stamp)
