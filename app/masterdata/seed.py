"""The dictionary as it comes out of the box. `flask crm init` adds what is missing and changes nothing."""

from __future__ import annotations

import sqlalchemy as sa

from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType

T = DictionaryType

# type, code, Chinese, English, value, system row
ITEMS: tuple[tuple[DictionaryType, str, str, str, str | None, bool], ...] = (
    (T.level, "1", "普通客户", "Regular", "1", True),
    (T.level, "2", "重点开发客户", "Focus", "2", True),
    (T.level, "3", "大客户", "Major", "3", True),
    (T.level, "4", "合作伙伴", "Partner", "4", True),
    (T.level, "5", "战略合作伙伴", "Strategic partner", "5", True),
    (T.region, "beijing", "北京", "Beijing", None, False),
    (T.region, "hebei", "河北", "Hebei", None, False),
    (T.region, "northeast", "东北", "Northeast", None, False),
    (T.region, "east", "华东", "East China", None, False),
    (T.region, "shanghai", "上海", "Shanghai", None, False),
    (T.region, "central_south", "中南", "Central South", None, False),
    (T.region, "south", "华南", "South China", None, False),
    (T.region, "southwest", "西南", "Southwest", None, False),
    (T.region, "northwest", "西北", "Northwest", None, False),
    (T.region, "overseas", "海外", "Overseas", None, False),
    (T.ticket_type, "inquiry", "咨询", "Inquiry", None, True),
    (T.ticket_type, "suggestion", "建议", "Suggestion", None, True),
    (T.ticket_type, "complaint", "投诉", "Complaint", None, True),
    (T.source, "referral", "老客户介绍", "Customer referral", None, False),
    (T.source, "fair", "展会", "Trade fair", None, False),
    (T.source, "website", "官网咨询", "Website inquiry", None, False),
    (T.source, "cold_call", "电话开发", "Cold call", None, False),
    (T.source, "partner", "合作伙伴推荐", "Partner referral", None, False),
    (T.source, "tender", "招投标", "Tender", None, False),
    (T.source, "other", "其他", "Other", None, False),
    (T.nature, "state", "国有", "State-owned", None, False),
    (T.nature, "private", "民营", "Private", None, False),
    (T.nature, "foreign", "外资", "Foreign-owned", None, False),
    (T.nature, "joint", "合资", "Joint venture", None, False),
    (T.nature, "public", "事业单位", "Public institution", None, False),
    (T.company_type, "limited", "有限责任公司", "Limited company", None, False),
    (T.company_type, "stock", "股份有限公司", "Joint-stock company", None, False),
    (T.company_type, "partnership", "合伙企业", "Partnership", None, False),
    (T.company_type, "sole", "个体工商户", "Sole proprietor", None, False),
    (T.company_type, "branch", "分支机构", "Branch", None, False),
    (T.standing, "aaa", "AAA", "AAA", None, False),
    (T.standing, "aa", "AA", "AA", None, False),
    (T.standing, "a", "A", "A", None, False),
    (T.standing, "b", "B", "B", None, False),
    (T.standing, "c", "C", "C", None, False),
    (T.industry, "machinery", "机械制造", "Machinery", None, False),
    (T.industry, "electronics", "电子信息", "Electronics", None, False),
    (T.industry, "food", "食品饮料", "Food and beverage", None, False),
    (T.industry, "medical", "医药健康", "Medical and health", None, False),
    (T.industry, "chemicals", "化工材料", "Chemicals and materials", None, False),
    (T.industry, "logistics", "物流仓储", "Logistics", None, False),
    (T.industry, "retail", "零售批发", "Retail and wholesale", None, False),
    (T.industry, "construction", "建筑工程", "Construction", None, False),
    (T.industry, "education", "教育科研", "Education and research", None, False),
    (T.industry, "other", "其他", "Other", None, False),
    (T.measure, "visit", "上门拜访", "Visit", None, False),
    (T.measure, "call", "电话回访", "Phone call", None, False),
    (T.measure, "discount", "价格优惠", "Price concession", None, False),
    (T.measure, "service", "服务改进", "Better service", None, False),
    (T.measure, "trial", "新品试用", "Product trial", None, False),
    (T.measure, "other", "其他", "Other", None, False),
    (T.churn_reason, "competitor", "改用竞品", "Went to a competitor", None, False),
    (T.churn_reason, "closed", "停产或倒闭", "Closed down", None, False),
    (T.churn_reason, "price", "价格", "Price", None, False),
    (T.churn_reason, "service", "服务不满意", "Unhappy with service", None, False),
    (T.churn_reason, "no_need", "需求消失", "No more need", None, False),
    (T.churn_reason, "other", "其他", "Other", None, False),
    (T.bank, "icbc", "中国工商银行", "ICBC", None, False),
    (T.bank, "abc", "中国农业银行", "Agricultural Bank of China", None, False),
    (T.bank, "boc", "中国银行", "Bank of China", None, False),
    (T.bank, "ccb", "中国建设银行", "China Construction Bank", None, False),
    (T.bank, "bocom", "交通银行", "Bank of Communications", None, False),
    (T.bank, "cmb", "招商银行", "China Merchants Bank", None, False),
    (T.bank, "other", "其他银行", "Other bank", None, False),
)


def seed_dictionary() -> int:
    """Add the items of a list that has none yet, and system rows always. Returns how many. The caller commits."""
    known = {(i.type, i.code) for i in db.session.execute(sa.select(DictionaryItem)).scalars()}
    filled = {kind for kind, _code in known}
    added = 0
    for position, (kind, code, zh, en, value, system) in enumerate(ITEMS, start=1):
        if (kind, code) in known or (kind in filled and not system):
            continue
        db.session.add(
            DictionaryItem(
                type=kind, code=code, label_zh=zh, label_en=en, value=value, system=system, sort_order=position * 10
            )
        )
        added += 1
    return added
