"""The page: one look at the fleet, rendered here, that keeps itself up to date."""
