"""Pure parts of the agent: tables and judgements; clock and randomness are passed in."""
