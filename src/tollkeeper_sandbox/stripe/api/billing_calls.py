"""The calls for subscriptions, invoices, saved cards, test clocks and the customer portal."""

from tollkeeper_sandbox.stripe.api.call import PAGING, call, retriever
from tollkeeper_sandbox.stripe.engine.listing import lister
from tollkeeper_sandbox.stripe.objects import (
    invoices,
    payment_methods,
    portal,
    previews,
    subscription_changes,
    subscriptions,
    test_clocks,
)

OFF = (False,)
PORTAL_FEATURES = (
    "features.customer_update.enabled features.customer_update.allowed_updates features.invoice_history "
    "features.payment_method_update.enabled features.subscription_cancel.cancellation_reason.enabled "
    "features.subscription_cancel.cancellation_reason.options features.subscription_cancel.enabled "
    "features.subscription_cancel.mode features.subscription_cancel.proration_behavior "
    "features.subscription_pause.enabled features.subscription_update.default_allowed_updates "
    "features.subscription_update.enabled features.subscription_update.products.prices "
    "features.subscription_update.products.product features.subscription_update.proration_behavior "
    "features.subscription_update.trial_update_behavior"
)
SERVED_BY_PORTAL: dict[str, tuple[object, ...]] = {
    "features.customer_update.enabled": OFF,
    "features.subscription_cancel.proration_behavior": ("none",),
    "features.subscription_pause.enabled": OFF,
    "login_page.enabled": OFF,
}

BILLING_CALLS = (
    # subscriptions
    call(
        "POST",
        "/v1/subscriptions",
        subscriptions.create,
        "_subscription_create_params:SubscriptionCreateParams",
        "automatic_tax.enabled cancel_at cancel_at_period_end collection_method currency customer "
        "default_payment_method description discounts.coupon discounts.promotion_code expand items.metadata "
        "items.price items.quantity metadata off_session payment_behavior payment_settings.save_default_payment_method "
        "proration_behavior trial_end trial_from_plan trial_period_days "
        "trial_settings.end_behavior.missing_payment_method",
        {
            "collection_method": ("charge_automatically",),
            "payment_behavior": ("allow_incomplete", "default_incomplete", "error_if_incomplete"),
        },
    ),
    call(
        "POST",
        "/v1/subscriptions/{id}",
        subscription_changes.update,
        "_subscription_update_params:SubscriptionUpdateParams",
        "billing_cycle_anchor cancel_at cancel_at_period_end cancellation_details.comment "
        "cancellation_details.feedback default_payment_method description discounts.coupon discounts.promotion_code "
        "expand items.deleted items.id items.metadata items.price items.quantity metadata off_session "
        "pause_collection payment_behavior proration_behavior trial_end "
        "trial_settings.end_behavior.missing_payment_method",
        {"payment_behavior": ("allow_incomplete", "error_if_incomplete")},
    ),
    call(
        "GET",
        "/v1/subscriptions/{id}",
        retriever("subscription"),
        "_subscription_retrieve_params:SubscriptionRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/subscriptions",
        subscriptions.listing(),
        "_subscription_list_params:SubscriptionListParams",
        f"{PAGING} collection_method created customer price status test_clock",
    ),
    call(
        "DELETE",
        "/v1/subscriptions/{id}",
        subscriptions.cancel,
        "_subscription_cancel_params:SubscriptionCancelParams",
        "cancellation_details.comment cancellation_details.feedback expand invoice_now prorate",
        {"invoice_now": OFF, "prorate": OFF},
    ),
    call(
        "POST",
        "/v1/subscriptions/{id}/resume",
        subscriptions.resume,
        "_subscription_resume_params:SubscriptionResumeParams",
        "billing_cycle_anchor.type expand proration_behavior",
        {"billing_cycle_anchor.type": ("now",)},
    ),
    call(
        "GET",
        "/v1/subscription_items",
        subscriptions.list_items,
        "_subscription_item_list_params:SubscriptionItemListParams",
        f"{PAGING} subscription",
    ),
    call(
        "GET",
        "/v1/subscription_items/{id}",
        subscriptions.retrieve_item,
        "_subscription_item_retrieve_params:SubscriptionItemRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/customers/{id}/subscriptions",
        subscriptions.list_of_customer,
        "_subscription_list_params:SubscriptionListParams",
        f"{PAGING} collection_method created price status",
    ),
    call(
        "GET",
        "/v1/plans",
        subscriptions.list_plans,
        "_plan_list_params:PlanListParams",
        f"{PAGING} active created product",
    ),
    call("GET", "/v1/plans/{id}", subscriptions.retrieve_plan, "_plan_retrieve_params:PlanRetrieveParams", "expand"),
    # invoices
    call(
        "GET",
        "/v1/invoices/{id}/lines",
        invoices.list_lines,
        "_invoice_line_item_list_params:InvoiceLineItemListParams",
        PAGING,
    ),
    call(
        "GET",
        "/v1/invoices/{id}",
        retriever("invoice"),
        "_invoice_retrieve_params:InvoiceRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/invoices",
        lister("invoice", "/v1/invoices", {"subscription": "parent.subscription_details.subscription"}),
        "_invoice_list_params:InvoiceListParams",
        f"{PAGING} collection_method created customer status subscription",
    ),
    call(
        "POST",
        "/v1/invoices/create_preview",
        previews.create_preview,
        "_invoice_create_preview_params:InvoiceCreatePreviewParams",
        "customer discounts.coupon discounts.promotion_code expand subscription "
        "subscription_details.items.deleted subscription_details.items.id "
        "subscription_details.items.metadata subscription_details.items.price subscription_details.items.quantity "
        "subscription_details.proration_behavior subscription_details.trial_end",
    ),
    call(
        "POST",
        "/v1/invoices/{id}/finalize",
        invoices.finalize_one,
        "_invoice_finalize_invoice_params:InvoiceFinalizeInvoiceParams",
        "expand",
    ),
    call(
        "POST",
        "/v1/invoices/{id}/pay",
        invoices.pay,
        "_invoice_pay_params:InvoicePayParams",
        "expand off_session paid_out_of_band payment_method",
    ),
    call(
        "POST",
        "/v1/invoices/{id}/void",
        invoices.void,
        "_invoice_void_invoice_params:InvoiceVoidInvoiceParams",
        "expand",
    ),
    call(
        "POST",
        "/v1/invoices/{id}/mark_uncollectible",
        invoices.mark_uncollectible,
        "_invoice_mark_uncollectible_params:InvoiceMarkUncollectibleParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/invoice_payments/{id}",
        retriever("invoice_payment"),
        "_invoice_payment_retrieve_params:InvoicePaymentRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/invoice_payments",
        lister("invoice_payment", "/v1/invoice_payments"),
        "_invoice_payment_list_params:InvoicePaymentListParams",
        f"{PAGING} created invoice payment.payment_intent payment.type status",
    ),
    # saved cards
    call(
        "POST",
        "/v1/payment_methods",
        payment_methods.create,
        "_payment_method_create_params:PaymentMethodCreateParams",
        "billing_details.address billing_details.email billing_details.name billing_details.phone card.cvc "
        "card.exp_month card.exp_year card.number card.token expand sepa_debit.iban type",
        {"type": ("card", "sepa_debit")},
    ),
    call(
        "GET",
        "/v1/payment_methods/{id}",
        retriever("payment_method"),
        "_payment_method_retrieve_params:PaymentMethodRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/payment_methods",
        lister("payment_method", "/v1/payment_methods"),
        "_payment_method_list_params:PaymentMethodListParams",
        f"{PAGING} customer type",
    ),
    call(
        "GET",
        "/v1/customers/{id}/payment_methods",
        payment_methods.of_customer,
        "_customer_payment_method_list_params:CustomerPaymentMethodListParams",
        f"{PAGING} type",
    ),
    call(
        "POST",
        "/v1/payment_methods/{id}/attach",
        payment_methods.attach,
        "_payment_method_attach_params:PaymentMethodAttachParams",
        "customer expand",
    ),
    call(
        "POST",
        "/v1/payment_methods/{id}/detach",
        payment_methods.detach,
        "_payment_method_detach_params:PaymentMethodDetachParams",
        "expand",
    ),
    # test clocks
    call(
        "POST",
        "/v1/test_helpers/test_clocks",
        test_clocks.create,
        "test_helpers._test_clock_create_params:TestClockCreateParams",
        "expand frozen_time name",
    ),
    call(
        "POST",
        "/v1/test_helpers/test_clocks/{id}/advance",
        test_clocks.advance,
        "test_helpers._test_clock_advance_params:TestClockAdvanceParams",
        "expand frozen_time",
    ),
    call(
        "GET",
        "/v1/test_helpers/test_clocks/{id}",
        retriever("test_helpers.test_clock"),
        "test_helpers._test_clock_retrieve_params:TestClockRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/test_helpers/test_clocks",
        lister("test_helpers.test_clock", "/v1/test_helpers/test_clocks"),
        "test_helpers._test_clock_list_params:TestClockListParams",
        PAGING,
    ),
    call(
        "DELETE",
        "/v1/test_helpers/test_clocks/{id}",
        test_clocks.delete,
        "test_helpers._test_clock_delete_params:TestClockDeleteParams",
    ),
    # setup intents
    call(
        "GET",
        "/v1/setup_intents/{id}",
        retriever("setup_intent"),
        "_setup_intent_retrieve_params:SetupIntentRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/setup_intents",
        lister("setup_intent", "/v1/setup_intents"),
        "_setup_intent_list_params:SetupIntentListParams",
        f"{PAGING} created customer payment_method",
    ),
    # customer portal
    call(
        "POST",
        "/v1/billing_portal/configurations",
        portal.create,
        "billing_portal._configuration_create_params:ConfigurationCreateParams",
        f"business_profile default_return_url expand {PORTAL_FEATURES} login_page.enabled metadata name",
        SERVED_BY_PORTAL,
    ),
    call(
        "POST",
        "/v1/billing_portal/configurations/{id}",
        portal.update,
        "billing_portal._configuration_update_params:ConfigurationUpdateParams",
        f"active business_profile default_return_url expand {PORTAL_FEATURES} login_page.enabled metadata name",
        SERVED_BY_PORTAL,
    ),
    call(
        "GET",
        "/v1/billing_portal/configurations/{id}",
        retriever("billing_portal.configuration"),
        "billing_portal._configuration_retrieve_params:ConfigurationRetrieveParams",
        "expand",
    ),
    call(
        "GET",
        "/v1/billing_portal/configurations",
        portal.list_configurations,
        "billing_portal._configuration_list_params:ConfigurationListParams",
        f"{PAGING} active is_default",
    ),
    call(
        "POST",
        "/v1/billing_portal/sessions",
        portal.create_session,
        "billing_portal._session_create_params:SessionCreateParams",
        "configuration customer expand flow_data.after_completion.hosted_confirmation "
        "flow_data.after_completion.redirect flow_data.after_completion.type "
        "flow_data.subscription_cancel.subscription flow_data.subscription_update.subscription "
        "flow_data.subscription_update_confirm.discounts.coupon "
        "flow_data.subscription_update_confirm.discounts.promotion_code "
        "flow_data.subscription_update_confirm.items.id flow_data.subscription_update_confirm.items.price "
        "flow_data.subscription_update_confirm.items.quantity flow_data.subscription_update_confirm.subscription "
        "flow_data.type locale return_url",
        {"flow_data.type": tuple(portal.FLOWS), "locale": ("auto", "en")},
    ),
)
