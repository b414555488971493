-- Claims the first attempt at a request that the ledger does not have, and returns the registered id that equals its
-- tenant's without regard to case. Returns no row if the ledger has the request; claim.sql then claims. The commit is
-- asynchronous, because it only counts attempts. Parameters: see begin_request.sql
{begin_request}
ON CONFLICT (request_key) DO NOTHING
RETURNING pg_catalog.set_config('synchronous_commit', 'off', true), coalesce((
{find_tenant}), '')
