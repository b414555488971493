-- The objects whose definition contains the name of the function that gives scripts the values of a request.
SELECT type, name, sql FROM sqlite_schema WHERE sql LIKE '%provisioner%' ORDER BY name
