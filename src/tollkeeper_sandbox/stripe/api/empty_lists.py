"""Lists of objects that never exist here. They are always empty, as on a Stripe account that has none of them."""

from collections.abc import Iterator

from tollkeeper_sandbox.stripe.api.call import PAGING, Call, call
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Handler, Params, limit_of
from tollkeeper_sandbox.stripe.engine.nesting import list_of
from tollkeeper_sandbox.stripe.engine.work import Work

# Each with the SDK's typed parameters, and its filters. Nothing matches any filter.
EMPTY = (
    ("accounts", "_account_list_params:AccountListParams", "created"),
    ("application_fees", "_application_fee_list_params:ApplicationFeeListParams", "charge created"),
    (
        "balance_transactions",
        "_balance_transaction_list_params:BalanceTransactionListParams",
        "created currency payout source type",
    ),
    ("billing/alerts", "billing._alert_list_params:AlertListParams", "alert_type meter"),
    ("billing/meters", "billing._meter_list_params:MeterListParams", "status"),
    ("credit_notes", "_credit_note_list_params:CreditNoteListParams", "created customer invoice"),
    (
        "customers/{id}/balance_transactions",
        "_customer_balance_transaction_list_params:CustomerBalanceTransactionListParams",
        "created invoice",
    ),
    ("customers/{id}/sources", "_customer_payment_source_list_params:CustomerPaymentSourceListParams", "object"),
    ("customers/{id}/tax_ids", "_customer_tax_id_list_params:CustomerTaxIdListParams", ""),
    ("entitlements/features", "entitlements._feature_list_params:FeatureListParams", "archived lookup_key"),
    ("file_links", "_file_link_list_params:FileLinkListParams", "created expired file"),
    ("files", "_file_list_params:FileListParams", "created purpose"),
    (
        "identity/verification_sessions",
        "identity._verification_session_list_params:VerificationSessionListParams",
        "client_reference_id created related_customer status",
    ),
    (
        "invoice_rendering_templates",
        "_invoice_rendering_template_list_params:InvoiceRenderingTemplateListParams",
        "status",
    ),
    ("invoiceitems", "_invoice_item_list_params:InvoiceItemListParams", "created customer invoice pending"),
    (
        "payment_method_configurations",
        "_payment_method_configuration_list_params:PaymentMethodConfigurationListParams",
        "active application",
    ),
    (
        "payment_method_domains",
        "_payment_method_domain_list_params:PaymentMethodDomainListParams",
        "domain_name enabled",
    ),
    ("payouts", "_payout_list_params:PayoutListParams", "arrival_date created destination status"),
    ("products/{id}/features", "_product_feature_list_params:ProductFeatureListParams", ""),
    ("quotes", "_quote_list_params:QuoteListParams", "customer status test_clock"),
    (
        "radar/early_fraud_warnings",
        "radar._early_fraud_warning_list_params:EarlyFraudWarningListParams",
        "charge created payment_intent",
    ),
    ("radar/value_lists", "radar._value_list_list_params:ValueListListParams", "alias contains created"),
    ("reporting/report_runs", "reporting._report_run_list_params:ReportRunListParams", "created"),
    ("reviews", "_review_list_params:ReviewListParams", "created"),
    ("setup_attempts", "_setup_attempt_list_params:SetupAttemptListParams", "created setup_intent"),
    ("shipping_rates", "_shipping_rate_list_params:ShippingRateListParams", "active created currency"),
    (
        "subscription_schedules",
        "_subscription_schedule_list_params:SubscriptionScheduleListParams",
        "canceled_at completed_at created customer released_at scheduled",
    ),
    ("tax/registrations", "tax._registration_list_params:RegistrationListParams", "status"),
    ("tax_ids", "_tax_id_list_params:TaxIdListParams", "owner"),
    ("terminal/locations", "terminal._location_list_params:LocationListParams", ""),
    ("terminal/readers", "terminal._reader_list_params:ReaderListParams", "device_type location serial_number status"),
    ("topups", "_topup_list_params:TopupListParams", "amount created status"),
    ("transfers", "_transfer_list_params:TransferListParams", "created destination transfer_group"),
)
OWNERS = {"customers": "customer", "products": "product"}


def empty_lists() -> Iterator[Call]:
    for path, typed, filters in EMPTY:
        yield call("GET", f"/v1/{path}", _empty(path), typed, f"{PAGING} {filters}")


def _empty(path: str) -> Handler:
    owner = OWNERS.get(path.partition("/{id}")[0])

    def answer(work: Work, params: Params, id_: str) -> JSON:
        limit_of(params)
        if owner:
            work.get_live(owner, id_)
        return list_of(f"/v1/{path.format(id=id_)}", [])

    return answer
