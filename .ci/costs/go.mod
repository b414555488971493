module example.com/tenant-provisioner/.ci/costs

go 1.26.0
