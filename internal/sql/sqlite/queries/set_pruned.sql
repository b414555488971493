-- Records that requests decided before ?1 may be missing.
UPDATE registry_stamp SET pruned_before = ?1 WHERE pruned_before IS NULL OR pruned_before < ?1
