-- The service's role in docker-compose.yml: a plain one, because INIT_SCRIPTS refuses a superuser. The image runs this
-- file as its superuser when it makes a new database, and never again. deploy/postgres/roles.sql is for production.

\getenv role SERVICE_ROLE
\getenv password POSTGRES_PASSWORD
\getenv database POSTGRES_DB

SELECT pg_catalog.format('CREATE ROLE %I LOGIN PASSWORD %L', :'role', :'password')
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'role')
\gexec

-- CREATE: for the registry's schema, and one for each tenant.
GRANT CONNECT, CREATE ON DATABASE :"database" TO :"role";
