-- Settings of the file that scripts must not change.
SELECT format('application_id %d, user_version %d, encoding %s, page_size %d, journal_mode %s, auto_vacuum %d',
    application_id, user_version, encoding, page_size, journal_mode, auto_vacuum)
FROM pragma_application_id, pragma_user_version, pragma_encoding, pragma_page_size, pragma_journal_mode,
    pragma_auto_vacuum
