"""The table of all calls of the API, with the parameters that they support.

A parameter that Stripe declares and that is not listed here is refused by name. A path covers what is
below it: ``metadata`` is all of it, ``automatic_tax.enabled`` is not ``automatic_tax.liability``.
"""

from tollkeeper_sandbox.stripe.api import event_calls
from tollkeeper_sandbox.stripe.api.billing_calls import BILLING_CALLS
from tollkeeper_sandbox.stripe.api.call import PAGING, Call, call, retriever
from tollkeeper_sandbox.stripe.api.empty_lists import empty_lists
from tollkeeper_sandbox.stripe.engine.events import API_VERSION
from tollkeeper_sandbox.stripe.engine.listing import lister
from tollkeeper_sandbox.stripe.objects import (
    accounts,
    catalog,
    checkout_sessions,
    coupons,
    customers,
    disputes,
    payment_links,
    refunds,
    tax_rates,
    webhook_endpoints,
)

OFF = (False,)
OF_CUSTOMER = {"business_name": 150, "email": 512, "individual_name": 150, "name": 256, "phone": 20}
EVIDENCE = (
    "access_activity_log billing_address cancellation_policy_disclosure cancellation_rebuttal customer_email_address "
    "customer_name customer_purchase_ip duplicate_charge_explanation duplicate_charge_id product_description "
    "refund_policy_disclosure refund_refusal_explanation service_date shipping_address shipping_carrier "
    "shipping_date shipping_tracking_number uncategorized_text"
)


CALLS = (
    call(
        "GET",
        "/v1/account",
        accounts.retrieve_current,
        "_account_retrieve_current_params:AccountRetrieveCurrentParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/accounts/{id}",
        accounts.retrieve,
        "_account_retrieve_params:AccountRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/tax/settings",
        accounts.tax_settings,
        "tax._settings_retrieve_params:SettingsRetrieveParams",
        "expand",
    ),
    # products
    call(
        "POST",
        "/v1/products",
        catalog.create_product,
        "_product_create_params:ProductCreateParams",
        "active default_price_data.currency default_price_data.metadata default_price_data.recurring "
        "default_price_data.tax_behavior default_price_data.unit_amount default_price_data.unit_amount_decimal "
        "description expand id images metadata name shippable statement_descriptor tax_code type unit_label url",
        {"type": ("service",)},
        {"images[]": 8, "statement_descriptor": 22},
    ),
    call(
        "POST",
        "/v1/products/{id}",
        catalog.update_product,
        "_product_update_params:ProductUpdateParams",
        "active default_price description expand images metadata name shippable statement_descriptor tax_code "
        "unit_label url",
        most={"images[]": 8, "statement_descriptor": 22},
    ),
    call("GET", "/v1/products/{id}", retriever("product"), "_product_retrieve_params:ProductRetrieveParams", "expand"),
    call(
        "GET",
        "/v1/products",
        lister("product", "/v1/products", {"ids": "id"}),
        "_product_list_params:ProductListParams",
        f"{PAGING} active created ids shippable type url",
    ),
    # prices
    call(
        "POST",
        "/v1/prices",
        catalog.create_price,
        "_price_create_params:PriceCreateParams",
        "active billing_scheme currency expand lookup_key metadata nickname product product_data.active "
        "product_data.id product_data.metadata product_data.name product_data.statement_descriptor "
        "product_data.tax_code product_data.unit_label recurring.interval recurring.interval_count "
        "recurring.trial_period_days recurring.usage_type tax_behavior transfer_lookup_key "
        "unit_amount unit_amount_decimal",
        {"billing_scheme": ("per_unit",), "recurring.usage_type": ("licensed",)},
        {"lookup_key": 200, "product_data.statement_descriptor": 22},
    ),
    call(
        "POST",
        "/v1/prices/{id}",
        catalog.update_price,
        "_price_update_params:PriceUpdateParams",
        "active expand lookup_key metadata nickname tax_behavior transfer_lookup_key",
        most={"lookup_key": 200},
    ),
    call("GET", "/v1/prices/{id}", retriever("price"), "_price_retrieve_params:PriceRetrieveParams", "expand"),
    call(
        "GET",
        "/v1/prices",
        lister("price", "/v1/prices", {"lookup_keys": "lookup_key"}),
        "_price_list_params:PriceListParams",
        f"{PAGING} active created currency lookup_keys product recurring.interval recurring.usage_type type",
        most={"lookup_keys[]": 10},
    ),
    # customers
    call(
        "POST",
        "/v1/customers",
        customers.create,
        "_customer_create_params:CustomerCreateParams",
        "address business_name description email expand individual_name invoice_settings.default_payment_method "
        "metadata name payment_method phone preferred_locales shipping tax_exempt test_clock",
        {"tax_exempt": ("none", "")},
        OF_CUSTOMER,
    ),
    call(
        "POST",
        "/v1/customers/{id}",
        customers.update,
        "_customer_update_params:CustomerUpdateParams",
        "address business_name description email expand individual_name invoice_settings.default_payment_method "
        "metadata name phone preferred_locales shipping tax_exempt",
        {"tax_exempt": ("none", "")},
        OF_CUSTOMER,
        # https://docs.stripe.com/changelog/2013-08-12/allows-description-email-fields-null
        emptied="description email",
    ),
    call(
        "GET", "/v1/customers/{id}", retriever("customer"), "_customer_retrieve_params:CustomerRetrieveParams", "expand"
    ),
    call("DELETE", "/v1/customers/{id}", customers.delete, "_customer_delete_params:CustomerDeleteParams"),
    call(
        "GET",
        "/v1/customers",
        lister("customer", "/v1/customers"),
        "_customer_list_params:CustomerListParams",
        f"{PAGING} created email test_clock",
    ),
    # checkout sessions
    call(
        "POST",
        "/v1/checkout/sessions",
        checkout_sessions.create,
        "checkout._session_create_params:SessionCreateParams",
        "adaptive_pricing.enabled allow_promotion_codes allowed_payment_method_types automatic_tax.enabled "
        "billing_address_collection cancel_url client_reference_id currency customer customer_creation "
        "customer_email customer_update.address customer_update.name discounts expand expires_at "
        "invoice_creation.enabled "
        "line_items.metadata line_items.price line_items.price_data.currency line_items.price_data.product "
        "line_items.price_data.product_data.name line_items.price_data.product_data.description "
        "line_items.price_data.product_data.images line_items.price_data.product_data.metadata "
        "line_items.price_data.recurring line_items.price_data.tax_behavior line_items.price_data.unit_amount "
        "line_items.price_data.unit_amount_decimal line_items.quantity locale metadata mode "
        "payment_intent_data.description payment_intent_data.metadata payment_intent_data.receipt_email "
        "payment_method_collection "
        "phone_number_collection.enabled submit_type subscription_data.description subscription_data.metadata "
        "subscription_data.trial_end subscription_data.trial_period_days "
        "subscription_data.trial_settings.end_behavior.missing_payment_method success_url tax_id_collection.enabled "
        "ui_mode",
        {
            "adaptive_pricing.enabled": OFF,
            "allowed_payment_method_types": ("card", "sepa_debit"),
            "billing_address_collection": ("auto",),
            "invoice_creation.enabled": OFF,
            "locale": ("auto", "en"),
            "mode": ("payment", "subscription"),
            "phone_number_collection.enabled": OFF,
            "submit_type": ("auto", "pay", "subscribe"),
            "tax_id_collection.enabled": OFF,
            "ui_mode": ("hosted_page",),
        },
        {"client_reference_id": 200, "line_items[]": 100, "line_items.price_data.product_data.images[]": 8},
    ),
    call(
        "GET",
        "/v1/checkout/sessions/{id}",
        retriever("checkout.session"),
        "checkout._session_retrieve_params:SessionRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/checkout/sessions",
        lister("checkout.session", "/v1/checkout/sessions"),
        "checkout._session_list_params:SessionListParams",
        f"{PAGING} created customer customer_details payment_intent status subscription",
    ),
    call(
        "POST",
        "/v1/checkout/sessions/{id}/expire",
        checkout_sessions.expire,
        "checkout._session_expire_params:SessionExpireParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/checkout/sessions/{id}/line_items",
        checkout_sessions.line_items,
        "checkout._session_list_line_items_params:SessionListLineItemsParams",
        PAGING,
    ),
    # coupons, promotion codes
    call(
        "POST",
        "/v1/coupons",
        coupons.create,
        "_coupon_create_params:CouponCreateParams",
        "amount_off currency duration duration_in_months expand id max_redemptions metadata name percent_off redeem_by",
        most={"name": 40},
    ),
    call(
        "GET",
        "/v1/coupons",
        lister("coupon", "/v1/coupons"),
        "_coupon_list_params:CouponListParams",
        f"{PAGING} created",
    ),
    call("GET", "/v1/coupons/{id}", retriever("coupon"), "_coupon_retrieve_params:CouponRetrieveParams", "expand"),
    call("DELETE", "/v1/coupons/{id}", coupons.delete, "_coupon_delete_params:CouponDeleteParams"),
    call(
        "POST",
        "/v1/promotion_codes",
        coupons.create_code,
        "_promotion_code_create_params:PromotionCodeCreateParams",
        "active code customer expand expires_at max_redemptions metadata promotion",
    ),
    call(
        "GET",
        "/v1/promotion_codes/{id}",
        retriever("promotion_code"),
        "_promotion_code_retrieve_params:PromotionCodeRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/promotion_codes",
        lister("promotion_code", "/v1/promotion_codes", {"coupon": "promotion.coupon"}),
        "_promotion_code_list_params:PromotionCodeListParams",
        f"{PAGING} active code coupon created customer",
    ),
    # payment links
    call(
        "POST",
        "/v1/payment_links",
        payment_links.create,
        "_payment_link_create_params:PaymentLinkCreateParams",
        "after_completion.redirect after_completion.type automatic_tax.enabled customer_creation expand "
        "line_items.price line_items.quantity metadata",
        most={"line_items[]": 20},
    ),
    call(
        "GET",
        "/v1/payment_links/{id}/line_items",
        payment_links.line_items,
        "_payment_link_line_item_list_params:PaymentLinkLineItemListParams",
        PAGING,
    ),
    call(
        "POST",
        "/v1/payment_links/{id}",
        payment_links.update,
        "_payment_link_update_params:PaymentLinkUpdateParams",
        "active expand metadata",
    ),
    call(
        "GET",
        "/v1/payment_links/{id}",
        retriever("payment_link"),
        "_payment_link_retrieve_params:PaymentLinkRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/payment_links",
        lister("payment_link", "/v1/payment_links"),
        "_payment_link_list_params:PaymentLinkListParams",
        f"{PAGING} active",
    ),
    # payment intents, charges
    call(
        "GET",
        "/v1/payment_intents/{id}",
        retriever("payment_intent"),
        "_payment_intent_retrieve_params:PaymentIntentRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/payment_intents",
        lister("payment_intent", "/v1/payment_intents"),
        "_payment_intent_list_params:PaymentIntentListParams",
        f"{PAGING} created customer",
    ),
    call("GET", "/v1/charges/{id}", retriever("charge"), "_charge_retrieve_params:ChargeRetrieveParams", "expand"),
    call(
        "GET",
        "/v1/charges",
        lister("charge", "/v1/charges"),
        "_charge_list_params:ChargeListParams",
        f"{PAGING} created customer payment_intent",
    ),
    call(
        "GET",
        "/v1/charges/{id}/refunds",
        refunds.of_charge,
        "_charge_list_refunds_params:ChargeListRefundsParams",
        PAGING,
    ),
    # refunds
    call(
        "POST",
        "/v1/refunds",
        refunds.create,
        "_refund_create_params:RefundCreateParams",
        "amount charge expand metadata payment_intent reason",
    ),
    call("POST", "/v1/refunds/{id}", refunds.update, "_refund_update_params:RefundUpdateParams", "expand metadata"),
    call("GET", "/v1/refunds/{id}", retriever("refund"), "_refund_retrieve_params:RefundRetrieveParams", "expand"),
    call(
        "GET",
        "/v1/refunds",
        lister("refund", "/v1/refunds"),
        "_refund_list_params:RefundListParams",
        f"{PAGING} charge created payment_intent",
    ),
    # disputes
    call("GET", "/v1/disputes/{id}", retriever("dispute"), "_dispute_retrieve_params:DisputeRetrieveParams", "expand"),
    call(
        "GET",
        "/v1/disputes",
        lister("dispute", "/v1/disputes"),
        "_dispute_list_params:DisputeListParams",
        f"{PAGING} charge created payment_intent",
    ),
    call(
        "POST",
        "/v1/disputes/{id}",
        disputes.update,
        "_dispute_update_params:DisputeUpdateParams",
        " ".join(("expand metadata submit", *(f"evidence.{name}" for name in EVIDENCE.split()))),
        most={f"evidence.{name}": 20_000 for name in EVIDENCE.split()},
    ),
    call("POST", "/v1/disputes/{id}/close", disputes.close, "_dispute_close_params:DisputeCloseParams", "expand"),
    # events
    call("GET", "/v1/events/{id}", event_calls.retrieve, "_event_retrieve_params:EventRetrieveParams", "expand"),
    call(
        "GET",
        "/v1/events",
        event_calls.list_events,
        "_event_list_params:EventListParams",
        f"{PAGING} created type types",
        most={"types[]": 20},
    ),
    # webhook endpoints
    call(
        "POST",
        "/v1/webhook_endpoints",
        webhook_endpoints.create,
        "_webhook_endpoint_create_params:WebhookEndpointCreateParams",
        "api_version connect description enabled_events expand metadata url",
        {"api_version": (API_VERSION,), "connect": OFF},
    ),
    call(
        "POST",
        "/v1/webhook_endpoints/{id}",
        webhook_endpoints.update,
        "_webhook_endpoint_update_params:WebhookEndpointUpdateParams",
        "description disabled enabled_events expand metadata url",
    ),
    call(
        "GET",
        "/v1/webhook_endpoints/{id}",
        retriever("webhook_endpoint"),
        "_webhook_endpoint_retrieve_params:WebhookEndpointRetrieveParams",
        "expand",
    ),
    call(
        "DELETE",
        "/v1/webhook_endpoints/{id}",
        webhook_endpoints.delete,
        "_webhook_endpoint_delete_params:WebhookEndpointDeleteParams",
    ),
    call(
        "GET",
        "/v1/webhook_endpoints",
        lister("webhook_endpoint", "/v1/webhook_endpoints"),
        "_webhook_endpoint_list_params:WebhookEndpointListParams",
        PAGING,
    ),
    # what never exists here, or is in its former shape
    call(
        "GET",
        "/v1/tax_rates",
        tax_rates.list_rates,
        "_tax_rate_list_params:TaxRateListParams",
        f"{PAGING} active created inclusive",
    ),
    call("GET", "/v1/tax_rates/{id}", tax_rates.retrieve, "_tax_rate_retrieve_params:TaxRateRetrieveParams", "expand"),
    *empty_lists(),
    *BILLING_CALLS,
)
# Addresses that look like an object's, but belong to calls that are not supported, or that Stripe no longer has.
NO_IDS = frozenset(
    f"/v1/{name}"
    for name in (
        *(f"{kind}/search" for kind in ("charges", "customers", "invoices", "payment_intents", "prices", "products")),
        "subscriptions/search",
        "invoices/upcoming",
    )
)
PATTERNS: dict[tuple[str, int], list[tuple[Call, list[str]]]] = {}
for one in CALLS:
    PATTERNS.setdefault((one.method, one.path.count("/")), []).append((one, one.path.split("/")))


def find(method: str, path: str) -> tuple[Call, str] | None:
    """Return the call at this address and the id in it."""
    steps = path.split("/")
    for one, pattern in PATTERNS.get((method, path.count("/")), []) if path not in NO_IDS else ():
        if _matches(pattern, steps):
            return one, steps[pattern.index("{id}")] if "{id}" in pattern else ""
    return None


def _matches(pattern: list[str], steps: list[str]) -> bool:
    return all(wanted == step or (wanted == "{id}" and step) for wanted, step in zip(pattern, steps, strict=True))
