-- The first attempt at a request that the ledger does not know, and the registered id that equals its tenant's
-- without regard to case. No row where it is known: claim.sql then. The commit need not wait for the disk: it only
-- counts attempts. Parameters: see begin_request.sql
{begin_request}
ON CONFLICT (request_key) DO NOTHING
RETURNING pg_catalog.set_config('synchronous_commit', 'off', true), coalesce((
{find_tenant}), '')
