"""The product's tables as Django sees them. Unmanaged: the product's migrations make them, indexes and all."""

from __future__ import annotations

from typing import Any

from django.db import models

STATUSES = [("active", "正常"), ("lost", "流失"), ("deleted", "删除")]
ORDER_STATUSES = [("new", "新建"), ("confirmed", "已确认"), ("shipped", "已发货"), ("cancelled", "已取消")]
CHURN_STATUSES = [
    ("warning", "预警"), ("deferred", "暂缓流失"), ("lost", "确认流失"), ("recovered", "已挽回"), ("won_back", "赢回"),
]  # fmt: skip


class Person(models.Model):
    """A user of the product."""

    username = models.CharField(max_length=128)
    first_name = models.CharField(max_length=64)
    last_name = models.CharField(max_length=64)
    email = models.CharField(max_length=320)
    active = models.BooleanField()

    class Meta:
        managed = False
        db_table = "ab_user"

    def __str__(self) -> str:
        return self.last_name + self.first_name


class DictionaryItem(models.Model):
    """An entry of a list."""

    type = models.CharField(max_length=20)
    code = models.CharField(max_length=40)
    label_zh = models.CharField(max_length=100)
    sort_order = models.IntegerField()

    class Meta:
        managed = False
        db_table = "dictionary_item"
        ordering = ("sort_order", "id")

    def __str__(self) -> str:
        return self.label_zh


def item(kind: str, verbose: str, *, required: bool = False) -> models.ForeignKey:
    """A column that names an entry of one list."""
    return models.ForeignKey(
        DictionaryItem, models.PROTECT, verbose_name=verbose, related_name="+", limit_choices_to={"type": kind},
        null=not required, blank=not required,
    )  # fmt: skip


class Stamped(models.Model):
    """What every table that people edit has."""

    version = models.IntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Customer(Stamped):
    """客户."""

    number = models.CharField("客户编号", max_length=30, unique=True, editable=False)
    name = models.CharField("客户名称", max_length=100)
    name_key = models.CharField(max_length=100, editable=False)
    search_key = models.CharField(max_length=600, editable=False)
    region = item("region", "地区")
    owner = models.ForeignKey(Person, models.PROTECT, verbose_name="客户经理", null=True, related_name="+")
    registered_on = models.DateField("登记日期", editable=False)
    level = item("level", "客户等级", required=True)
    satisfaction = models.IntegerField("满意度", default=3)
    credit = models.IntegerField("信用度", default=3)
    nature = item("nature", "企业性质")
    company_type = item("company_type", "企业类型")
    standing = item("standing", "企业资信")
    industry = item("industry", "行业")
    province = models.CharField("省", max_length=50, null=True, blank=True)
    city = models.CharField("市", max_length=50, null=True, blank=True)
    address = models.CharField("地址", max_length=300, null=True)
    postcode = models.CharField("邮编", max_length=12, null=True)
    phone = models.CharField("电话", max_length=50, null=True)
    fax = models.CharField("传真", max_length=50, null=True, blank=True)
    website = models.CharField("网址", max_length=200, null=True, blank=True)
    licence_no = models.CharField("营业执照注册号", max_length=50, null=True, blank=True)
    social_credit_code = models.CharField("统一社会信用代码", max_length=18, null=True, blank=True)
    legal_representative = models.CharField("法人", max_length=50, null=True, blank=True)
    registered_capital = models.DecimalField("注册资金", max_digits=14, decimal_places=2, null=True, blank=True)
    annual_turnover = models.DecimalField("年营业额", max_digits=14, decimal_places=2, null=True, blank=True)
    bank = item("bank", "银行")
    bank_account = models.CharField("银行账号", max_length=50, null=True, blank=True)
    local_tax_no = models.CharField("地税登记号", max_length=50, null=True, blank=True)
    national_tax_no = models.CharField("国税登记号", max_length=50, null=True, blank=True)
    status = models.CharField("状态", max_length=20, choices=STATUSES, default="active", editable=False)
    memo = models.CharField("备注", max_length=2000, null=True, blank=True)

    class Meta:
        managed = False
        db_table = "customer"
        verbose_name = verbose_name_plural = "客户"

    def __str__(self) -> str:
        return self.name


class CustomerStats(models.Model):
    """Last order, count and sum of a customer."""

    customer = models.OneToOneField(Customer, models.PROTECT, primary_key=True, related_name="stats")
    last_order_at = models.DateTimeField(null=True)
    order_count = models.IntegerField(default=0)
    order_total = models.DecimalField(max_digits=14, decimal_places=2, default=0)

    class Meta:
        managed = False
        db_table = "customer_stats"


class CustomerEstimate(models.Model):
    """How likely a customer is not to order."""

    customer = models.OneToOneField(Customer, models.PROTECT, primary_key=True, related_name="estimate")
    probability = models.FloatField()

    class Meta:
        managed = False
        db_table = "customer_estimate"


class CustomerMonth(models.Model):
    """What one customer ordered in one month."""

    pk = models.CompositePrimaryKey("customer_id", "month")
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    month = models.DateField()
    order_count = models.IntegerField()
    order_total = models.DecimalField(max_digits=14, decimal_places=2)
    paid_count = models.IntegerField()
    paid_total = models.DecimalField(max_digits=14, decimal_places=2)

    class Meta:
        managed = False
        db_table = "customer_month"


class CustomerYear(models.Model):
    """The same for a year, and under 0 for all years."""

    pk = models.CompositePrimaryKey("customer_id", "year")
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    year = models.IntegerField()
    order_count = models.IntegerField()
    order_total = models.DecimalField(max_digits=14, decimal_places=2)
    paid_count = models.IntegerField()
    paid_total = models.DecimalField(max_digits=14, decimal_places=2)
    returned = models.BooleanField(default=False)

    class Meta:
        managed = False
        db_table = "customer_year"


class Contact(Stamped):
    """联系人."""

    customer = models.ForeignKey(Customer, models.PROTECT, verbose_name="客户")
    name = models.CharField("姓名", max_length=50)
    gender = models.CharField("性别", max_length=20, null=True, blank=True, choices=[("male", "男"), ("female", "女")])
    position = models.CharField("职位", max_length=50, null=True, blank=True)
    office_phone = models.CharField("办公电话", max_length=50)
    mobile = models.CharField("手机", max_length=50, null=True, blank=True)
    email = models.CharField("电子邮件", max_length=200, null=True, blank=True)
    is_primary = models.BooleanField("主联系人", default=False)
    deleted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        managed = False
        db_table = "contact"
        verbose_name = verbose_name_plural = "联系人"

    def __str__(self) -> str:
        return self.name


class Interaction(Stamped):
    """交往记录."""

    customer = models.ForeignKey(Customer, models.PROTECT, verbose_name="客户")
    contact = models.ForeignKey(Contact, models.PROTECT, verbose_name="联系人", null=True, blank=True)
    occurred_at = models.DateTimeField("时间")
    place = models.CharField("地点", max_length=200)
    title = models.CharField("概要", max_length=500)
    detail = models.CharField("详细", max_length=2000, null=True, blank=True)
    next_follow_up_on = models.DateField("下次回访", null=True, blank=True)
    created_by = models.ForeignKey(Person, models.PROTECT, verbose_name="记录人", null=True, related_name="+")
    deleted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        managed = False
        db_table = "interaction"
        verbose_name = verbose_name_plural = "交往记录"

    def __str__(self) -> str:
        return self.title


class Order(models.Model):
    """历史订单."""

    external_id = models.CharField("订单号", max_length=60, unique=True)
    customer = models.ForeignKey(Customer, models.PROTECT, verbose_name="客户")
    ordered_at = models.DateTimeField("下单时间")
    delivery_address = models.CharField("送货地址", max_length=300, null=True, blank=True)
    amount = models.DecimalField("金额", max_digits=14, decimal_places=2)
    paid = models.BooleanField("已付款", null=True)
    status = models.CharField("状态", max_length=20, choices=ORDER_STATUSES)
    source_status = models.CharField(max_length=40, null=True, blank=True)

    class Meta:
        managed = False
        db_table = "sales_order"
        verbose_name = verbose_name_plural = "历史订单"

    def __str__(self) -> str:
        return self.external_id


class JobRun(models.Model):
    """A run of a job."""

    job = models.CharField(max_length=40)
    period = models.CharField(max_length=40)
    status = models.CharField(max_length=20)
    attempt = models.IntegerField(default=1)

    class Meta:
        managed = False
        db_table = "job_run"


class ChurnCase(Stamped):
    """客户流失."""

    customer = models.ForeignKey(Customer, models.PROTECT, verbose_name="客户")
    owner = models.ForeignKey(Person, models.PROTECT, verbose_name="客户经理", null=True, related_name="+")
    owner_name = models.CharField(max_length=130, null=True)
    opened_at = models.DateTimeField("预警时间")
    last_order_at = models.DateTimeField("上次下单", null=True)
    last_order_no = models.CharField("上次订单", max_length=60, null=True)
    rule_months = models.IntegerField()
    rule_cutoff = models.DateTimeField()
    status = models.CharField("状态", max_length=20, choices=CHURN_STATUSES)
    reason_type = item("churn_reason", "流失原因")
    lost_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "churn_case"
        verbose_name = verbose_name_plural = "客户流失"

    def __str__(self) -> str:
        return str(self.customer)


class RetentionMeasure(models.Model):
    """暂缓措施."""

    case = models.ForeignKey(ChurnCase, models.PROTECT)
    type = item("measure", "措施")
    at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "retention_measure"


class Ticket(models.Model):
    """服务单."""

    type = item("ticket_type", "类型", required=True)
    status = models.CharField(max_length=20)
    satisfaction = models.IntegerField(null=True)
    times_returned = models.IntegerField()
    created_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "ticket"


class Opportunity(models.Model):
    """销售机会."""

    probability = models.IntegerField()
    expected_amount = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    expected_close_on = models.DateField(null=True)
    status = models.CharField(max_length=20)
    assignee = models.ForeignKey(Person, models.PROTECT, null=True, related_name="+")
    assigned_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "opportunity"


class PlanStep(models.Model):
    """计划项."""

    opportunity = models.ForeignKey(Opportunity, models.PROTECT)
    planned_on = models.DateField()
    executed_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "plan_step"


class Json(models.TextField):
    """A column of type json, which the driver reads by itself."""

    def db_type(self, connection: Any) -> str:
        """What the database calls it; Django casts what it inserts to it."""
        return "json"


class AuditEntry(models.Model):
    """变更记录."""

    at = models.DateTimeField()
    record_type = models.CharField(max_length=40)
    record_id = models.IntegerField(null=True)
    action = models.CharField(max_length=40)
    outcome = models.CharField(max_length=20)
    from_status = models.CharField(max_length=20, null=True)
    to_status = models.CharField(max_length=20, null=True)
    changes = Json(null=True)

    class Meta:
        managed = False
        db_table = "audit_entry"


class FieldChange(models.Model):
    """字段变更."""

    at = models.DateTimeField()
    record_type = models.CharField(max_length=40)
    record_id = models.IntegerField()
    field = models.CharField(max_length=160, null=True)
    before = models.TextField(null=True)

    class Meta:
        managed = False
        db_table = "field_change"


class Counter(models.Model):
    """The last number of a day."""

    name = models.CharField(max_length=20, primary_key=True)
    last = models.IntegerField()

    class Meta:
        managed = False
        db_table = "counter"
