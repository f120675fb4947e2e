"""Alerts and a dashboard for a cache in production: takes an audit and its traffic."""
