-- Whether an operator has accepted that the ledger lacks the outcome $1.
SELECT EXISTS (SELECT FROM {registry}.accepted_outcomes WHERE outcome_id = $1::text)
