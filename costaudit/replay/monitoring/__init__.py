"""Write alerts and a dashboard for a cache in production, from an audit and its traffic."""
