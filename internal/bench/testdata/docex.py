"""Provisions tenants with DocEX itself: one for each line of standard input, which is its id. Prints its version when it
is ready, and a line for each tenant. DATABASE_URL is the database; DocEX's log of SQL is off."""

import logging
import os
import sys
import tempfile
from importlib.metadata import version
from urllib.parse import unquote, urlsplit

answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # whatever DocEX prints
os.environ["DOCEX_HOME"] = tempfile.mkdtemp()

from docex.config.docex_config import DocEXConfig
from docex.provisioning.bootstrap import BootstrapTenantManager
from docex.provisioning.tenant_provisioner import TenantProvisioner

logging.disable(logging.WARNING)
url = urlsplit(os.environ["DATABASE_URL"])
DocEXConfig.setup(
    database={
        "type": "postgresql",
        "echo": False,
        "postgres": {
            "host": url.hostname,
            "port": url.port or 5432,
            "database": url.path[1:],
            "user": unquote(url.username),
            "password": unquote(url.password or ""),
        },
    },
    multi_tenancy={"enabled": True, "isolation_strategy": "schema"},
)
BootstrapTenantManager().initialize(created_by="bench")
provisioner = TenantProvisioner()
print(version("docex"), file=answers)
for line in sys.stdin:
    provisioner.create(line.strip(), "Bench Inc.", "bench")
    print("done", file=answers)
