"""What people would put before the new endpoint instead of the gateway, each doing the whole job.

Verify the old call's signature, keep its nonce in memory, call the new endpoint signed anew, check the types of the
page's 57 fields, withhold newer ones, answer with the pagination headers. None of them has the gateway's other duties:
limits, retries, walks, other splits of a signed text.
"""
