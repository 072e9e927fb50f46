"""The fleet's judgement without its hands: rollouts, gates, targeting, drift. No IO, no clock."""
