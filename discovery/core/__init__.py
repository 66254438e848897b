"""The values everything else speaks in: names, addresses, registrations, leases, changes. Pure; imports nothing of the project."""
