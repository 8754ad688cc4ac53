"""PURE. What pages and programs say about money and access apart from reasons: who has to buy, pay or wait."""

# For visitors without access
TO_BE_BOUGHT = "You need to buy this first"
TO_BE_BOUGHT_FIRST = f"{TO_BE_BOUGHT}."
NOT_FOR_SALE = "No product sold here unlocks this."
PAGE_NOT_FOR_SALE = "No product sold here unlocks this page."

# For visitors who are about to pay
NOTHING_CHARGED = "Nothing was charged."
NOT_OPENED = f"The payment page could not be opened. {NOTHING_CHARGED} Please try again in a minute."
NEEDS_A_LOOK = "We have received a payment from you that we need to check. Please write to us."
NOT_SOLD = "This is not on sale here."
NOT_SOLD_AT_THAT_PRICE = "This is not on sale at that price."

# While the payment service is down, or refuses
NO_ANSWER = f"The payment service is not responding at the moment. {NOTHING_CHARGED} Please try again in a minute."
REFUSED = f"The payment service refuses our requests. We have to fix this. {NOTHING_CHARGED}"

# For visitors who want to manage their billing
NOTHING_TO_MANAGE = "You have not bought anything yet, so there is nothing to manage."
NOTHING_LEFT_TO_MANAGE = "There is nothing to manage any more: your billing details have been deleted."
BILLING_AWAY = "The billing page cannot be opened at the moment. Please try again in a minute."
BILLING_REFUSED = (
    "The billing page cannot be opened until we have fixed a problem. We know about it; you can write to us."
)

# For visitors who delete their account
NOT_ENDED = (
    "Your subscriptions could not be ended, because the payment service is not responding at the moment."
    " Nothing was deleted. Please try again in a minute."
)
NOT_ENDED_UNTIL_FIXED = (
    "Your subscriptions could not be ended, because the payment service refuses our requests. Nothing was deleted."
    " We know about it, and have to fix it first; you can write to us."
)
