# ruff: noqa: E501 - one row, one line
"""The words of the demo company: invented companies, people and sentences. Nobody of this name can be called.

Chinese numbers begin with a 0 after the area code, foreign ones are from ranges kept free for fiction, and every
e-mail address and website ends in example.com.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from random import Random

from pypinyin import Style, lazy_pinyin

# city, province, region, area code, postcode, two roads
CITIES = (
    ("北京", "北京市", "beijing", "010", "1000", "海淀区永丰北路", "大兴区科创六街"),
    ("石家庄", "河北省", "hebei", "0311", "0500", "裕华区槐安东路", "高新区长江大道"),
    ("唐山", "河北省", "hebei", "0315", "0630", "路北区建设北路", "丰南区运河东路"),
    ("保定", "河北省", "hebei", "0312", "0710", "莲池区东三环", "高新区朝阳北大街"),
    ("沈阳", "辽宁省", "northeast", "024", "1100", "铁西区开发二十二号路", "浑南区创新路"),
    ("大连", "辽宁省", "northeast", "0411", "1160", "甘井子区营城子工业园", "金普新区淮河中路"),
    ("长春", "吉林省", "northeast", "0431", "1300", "绿园区普阳街", "高新区硅谷大街"),
    ("哈尔滨", "黑龙江省", "northeast", "0451", "1500", "松北区智谷二街", "平房区哈南第九大道"),
    ("苏州", "江苏省", "east", "0512", "2150", "工业园区星湖街", "吴中区东吴南路"),
    ("无锡", "江苏省", "east", "0510", "2140", "新吴区长江南路", "滨湖区胡埭工业园"),
    ("南京", "江苏省", "east", "025", "2100", "江宁区秣周东路", "浦口区步月路"),
    ("杭州", "浙江省", "east", "0571", "3100", "滨江区江陵路", "余杭区文一西路"),
    ("宁波", "浙江省", "east", "0574", "3150", "鄞州区启明路", "北仑区黄山西路"),
    ("合肥", "安徽省", "east", "0551", "2300", "蜀山区望江西路", "经开区繁华大道"),
    ("青岛", "山东省", "east", "0532", "2660", "崂山区株洲路", "黄岛区前湾港路"),
    ("济南", "山东省", "east", "0531", "2500", "历下区经十路", "高新区舜华路"),
    ("上海", "上海市", "shanghai", "021", "2000", "浦东新区张衡路", "嘉定区曹安公路"),
    ("上海", "上海市", "shanghai", "021", "2016", "松江区新飞路", "临港新片区海洋四路"),
    ("武汉", "湖北省", "central_south", "027", "4300", "东湖高新区光谷三路", "经开区沌阳大道"),
    ("长沙", "湖南省", "central_south", "0731", "4100", "岳麓区麓谷大道", "雨花区环保中路"),
    ("郑州", "河南省", "central_south", "0371", "4500", "高新区科学大道", "经开区航海东路"),
    ("南昌", "江西省", "central_south", "0791", "3300", "高新区京东大道", "青山湖区昌东大道"),
    ("广州", "广东省", "south", "020", "5100", "黄埔区开源大道", "番禺区东环街番禺大道"),
    ("深圳", "广东省", "south", "0755", "5180", "南山区科苑路", "宝安区福海大道"),
    ("东莞", "广东省", "south", "0769", "5230", "松山湖工业西路", "长安镇振安东路"),
    ("厦门", "福建省", "south", "0592", "3610", "集美区软件园三期", "海沧区翁角路"),
    ("福州", "福建省", "south", "0591", "3500", "仓山区金山大道", "马尾区江滨东大道"),
    ("南宁", "广西壮族自治区", "south", "0771", "5300", "高新区科园大道", "江南区银凯大道"),
    ("成都", "四川省", "southwest", "028", "6100", "双流区物联西街", "青白江区化工大道"),
    ("重庆", "重庆市", "southwest", "023", "4000", "渝北区空港大道", "九龙坡区九龙西苑"),
    ("贵阳", "贵州省", "southwest", "0851", "5500", "观山湖区林城东路", "乌当区高新路"),
    ("昆明", "云南省", "southwest", "0871", "6500", "呈贡区景明南路", "五华区泛亚科技园"),
    ("西安", "陕西省", "northwest", "029", "7100", "雁塔区锦业路", "经开区凤城十二路"),
    ("兰州", "甘肃省", "northwest", "0931", "7300", "城关区高新雁南路", "西固区环行东路"),
)  # fmt: skip

TRADE_NAMES = """
恒锐 蜀源 栖云 楚岫 甬澜 朔川 湾屿 海诺 岳澄 鹭汀 庐禾 嘉屿 嵩衡 松沅 黔峻 泉岫 闽栖 秦朔 滇岚 赣陶 冀泽 凌溪 浦澄
砚南 瓯远 锦汀 沱禾 岷砚 汉泽 荆朗 湘沐 衡芷 粤屿 珠澜 莞锐 桂溪 邕禾 霁光 泊岸 翊航 曜辰 澜图 峻朗 岚川 禾沐 墨川
苍梧 沅芷 黎溪 朔原 谷雨川 知澜 问渠 星垣 竹里 柏岭 银杉 青岑 远岫 鸣涧 拾光 沧澜 临川屿 云帆渡 石渠 杉原 榕荫 槿禾
桐川 楠屿 枫桥岭 椿源 樟溪 梓岚 蓝堤 白桦林 红杉谷 玄武岩 碧砂 赤岭 青砚 金穗原 银湖湾 玉衡 天枢原 开阳岭 摇光屿
瑶砂 璞石 琢原 磐砚 砺锋 锻泰 铸川 衡准 量元 微垣 芯澜 频谷 晶岫 硅屿 磁源 电岚 光屿 声澜 热砚 气岚 液恒 轴心原 齿锐
链川 仓颉原 港屿 舟岚 帆朗 桥安 隧岭 路衡 轨原 翼岚
""".split()  # fmt: skip

# line of business, its industry
LINES = (
    ("精密机械", "machinery"), ("数控机床", "machinery"), ("液压设备", "machinery"), ("轴承制造", "machinery"),
    ("汽车零部件", "machinery"), ("重型装备", "machinery"), ("包装机械", "machinery"), ("粮油机械", "machinery"),
    ("电子", "electronics"), ("光电技术", "electronics"), ("传感技术", "electronics"), ("半导体材料", "electronics"),
    ("智能科技", "electronics"), ("食品", "food"), ("乳业", "food"), ("饮料", "food"), ("水产食品", "food"),
    ("医疗器械", "medical"), ("生物科技", "medical"), ("制药", "medical"), ("新材料", "chemicals"), ("涂料", "chemicals"),
    ("精细化工", "chemicals"), ("供应链管理", "logistics"), ("冷链物流", "logistics"), ("国际货运代理", "logistics"),
    ("商贸", "retail"), ("五金制品", "retail"), ("建设工程", "construction"), ("机电安装工程", "construction"),
    ("环保工程", "construction"), ("科教仪器", "education"), ("检测技术", "education"), ("纺织", "other"),
    ("印务", "other"), ("包装制品", "other"),
)  # fmt: skip

SUFFIXES = ("有限公司",) * 8 + ("股份有限公司",) * 2 + ("有限责任公司",)

# name, country, city, street, postcode, phone without its last three digits (ranges kept free for fiction), industry
FOREIGN = (
    ("Harbourline Trading Ltd.", "United Kingdom", "London", "14 Tidewell Quay", "E14 9ZZ", "+44 20 7946 0", "retail"),
    ("Kestrel Optics GmbH", "Germany", "Berlin", "Sonnenalleepfad 8", "10119", "+49 30 23125 ", "electronics"),
    ("Pinecrest Logistics Inc.", "United States", "Seattle", "410 Alder Yard Road", "98104", "+1 206 555 0", "logistics"),
    ("Quillstone Instruments Pty. Ltd.", "Australia", "Sydney", "27 Banksia Works Street", "2015", "+61 2 5550 0", "education"),
    ("Atelier Vermont SARL", "France", "Lyon", "6 rue des Tanneurs-Neufs", "69007", "+33 1 99 00 0", "other"),
    ("Brackenfield Foods Ltd.", "United Kingdom", "Leeds", "3 Orchard Mill Lane", "LS9 0ZZ", "+44 113 496 0", "food"),
    ("Corvane Systems LLC", "United States", "Denver", "1200 Larkspur Tech Drive", "80202", "+1 303 555 0", "electronics"),
    ("Dunmore Hydraulics Ltd.", "United Kingdom", "Glasgow", "55 Clydebrae Road", "G51 0ZZ", "+44 141 496 0", "machinery"),
    ("Eisvogel Messtechnik GmbH", "Germany", "Hamburg", "Am Speicherkanal 21", "20457", "+49 40 66969 ", "education"),
    ("Fairhaven Medical Supply Inc.", "United States", "Boston", "88 Wharfside Avenue", "02110", "+1 617 555 0", "medical"),
    ("Granite Bay Packaging Pty. Ltd.", "Australia", "Melbourne", "9 Ironbark Court", "3008", "+61 3 7010 0", "other"),
    ("Hollis & Marwick Engineering Ltd.", "United Kingdom", "Cardiff", "12 Foundry Terrace", "CF10 9ZZ", "+44 29 2018 0", "construction"),
    ("Isarwerk Antriebstechnik GmbH", "Germany", "München", "Floßlände 40", "81379", "+49 89 99998 ", "machinery"),
    ("Juniper Ridge Dairies LLC", "United States", "Madison", "740 Clover Hill Road", "53703", "+1 608 555 0", "food"),
    ("Kittiwake Cold Storage Ltd.", "United Kingdom", "Aberdeen", "2 Harbour Slip", "AB11 9ZZ", "+44 1632 960", "logistics"),
    ("Lumière Capteurs SAS", "France", "Grenoble", "18 chemin des Glières", "38000", "+33 4 65 71 0", "electronics"),
    ("Mossbank Chemicals Ltd.", "United Kingdom", "Manchester", "70 Canal Reach", "M3 0ZZ", "+44 161 496 0", "chemicals"),
    ("Nordlicht Automation GmbH", "Germany", "Leipzig", "Halle 7, Messeweg 3", "04356", "+49 30 23125 ", "machinery"),
    ("Oakhurst Retail Partners Inc.", "United States", "Chicago", "315 Prairie Dock Street", "60607", "+1 312 555 0", "retail"),
    ("Pelican Point Marine Pty. Ltd.", "Australia", "Perth", "4 Jetty Works Road", "6160", "+61 8 5550 0", "machinery"),
    ("Quartzline Semiconductors Inc.", "United States", "Austin", "5100 Mesa Fab Parkway", "78744", "+1 512 555 0", "electronics"),
    ("Redfern Laboratories Pty. Ltd.", "Australia", "Brisbane", "31 Wattle Science Park", "4113", "+61 7 5550 0", "medical"),
    ("Silverbirch Paper Mills Ltd.", "United Kingdom", "Newcastle", "1 Millrace Road", "NE15 9ZZ", "+44 191 498 0", "other"),
    ("Thornbury Valves Ltd.", "United Kingdom", "Sheffield", "26 Crucible Row", "S9 0ZZ", "+44 114 496 0", "machinery"),
    ("Uferstadt Logistik GmbH", "Germany", "Köln", "Rheinkai 5", "50668", "+49 221 4710 ", "logistics"),
    ("Valemont Cosmétiques SA", "France", "Nantes", "40 quai des Antilles-Neuf", "44200", "+33 2 61 91 0", "chemicals"),
    ("Westerly Wind Components Inc.", "United States", "Portland", "900 Gorge View Road", "97209", "+1 503 555 0", "machinery"),
    ("Yarrow Bioscience Ltd.", "United Kingdom", "Cambridge", "8 Meadow Lab Way", "CB4 0ZZ", "+44 1632 960", "medical"),
    ("Zephyr Air Systems LLC", "United States", "Phoenix", "2300 Saguaro Plant Road", "85034", "+1 602 555 0", "construction"),
    ("Ashgrove Teaching Equipment Ltd.", "United Kingdom", "Bristol", "17 College Yard", "BS1 9ZZ", "+44 117 496 0", "education"),
    ("Blue Heron Brewing Co.", "United States", "Burlington", "65 Lakefront Cooperage", "05401", "+1 802 555 0", "food"),
    ("Cassowary Mining Services Pty. Ltd.", "Australia", "Townsville", "11 Conveyor Close", "4810", "+61 7 7010 0", "construction"),
    ("Delmarès Emballages SARL", "France", "Lille", "22 rue du Port-Sec", "59000", "+33 3 53 01 0", "other"),
    ("Elbtal Feinmechanik GmbH", "Germany", "Dresden", "Uhrmachergasse 12", "01067", "+49 30 23125 ", "machinery"),
    ("Foxglove Pharma Inc.", "United States", "Raleigh", "77 Triangle Works Drive", "27601", "+1 919 555 0", "medical"),
    ("Gullwing Freight Ltd.", "United Kingdom", "Southampton", "5 Container Reach", "SO15 9ZZ", "+44 1632 960", "logistics"),
    ("Highmoor Textiles Ltd.", "United Kingdom", "Bradford", "44 Loom Street", "BD1 9ZZ", "+44 1632 960", "other"),
    ("Ironwood Robotics Inc.", "United States", "Pittsburgh", "1600 Furnace Lane", "15219", "+1 412 555 0", "machinery"),
    ("Jadewater Imports LLC", "United States", "San Diego", "38 Pier Market Street", "92101", "+1 619 555 0", "retail"),
    ("Kestelholm Sensors GmbH", "Germany", "Stuttgart", "Neckarwerk 9", "70190", "+49 30 23125 ", "electronics"),
)  # fmt: skip

FAMILY = "王 李 张 刘 陈 杨 黄 赵 吴 周 徐 孙 马 朱 胡 郭 何 高 林 罗 郑 梁 谢 宋 唐 许 韩 冯 邓 曹 彭 曾 肖 田 董 袁 潘 蒋 蔡 余".split()
MEN = "建军 志强 文博 浩然 子轩 国栋 明辉 俊杰 海涛 立群 振宇 永康 家铭 宏伟 思远 天佑 少华 启航 景行 博文".split()
WOMEN = "丽娟 晓燕 雅琴 思琪 雨桐 静怡 佳宁 梦洁 慧敏 玉兰 婉清 若彤 诗涵 欣妍 秋月 海棠 书瑶 可欣 晨曦 素云".split()
FOREIGN_MEN = "Oliver James Thomas Lukas Daniel Marc Henry Peter Julian Ethan".split()
FOREIGN_WOMEN = "Emily Sophie Laura Claire Hannah Julia Grace Nina Rachel Olivia".split()
FOREIGN_FAMILY = """
Whitfield Baumann Lefèvre Carrow Hargreave Keller Marsden Osterlind Penrose Quigley Redmond Stahl Tremaine Vautrin Winslow
Ackermann Bellamy Cormac Delacroix Eastman
""".split()
POSITIONS = "采购经理 采购主管 总经理 生产经理 设备主管 仓储主管 质量经理 财务经理 技术总监 办公室主任".split()
FOREIGN_POSITIONS = (
    "Purchasing manager", "Plant manager", "Managing director", "Operations lead", "Quality manager", "Finance manager",
)  # fmt: skip

# name, unit, list price in CNY, models; what the sales system sells
PRODUCTS = (
    ("温湿度传感器", "只", 268, "TH-200 TH-220"), ("压力变送器", "只", 1180, "PT-310 PT-350"),
    ("电磁流量计", "台", 6850, "FM-50 FM-80"), ("激光位移传感器", "台", 9600, "LD-30"),
    ("工业相机", "台", 12800, "VC-500 VC-800"), ("机器视觉光源", "套", 1450, "VL-12"),
    ("伺服电机", "台", 3980, "SV-750 SV-1500"), ("变频器", "台", 2760, "VF-22 VF-55"),
    ("可编程控制器", "套", 5400, "PC-16 PC-32"), ("人机界面触摸屏", "台", 2180, "HM-10"),
    ("螺杆空压机", "台", 46800, "AC-37"), ("精密过滤滤芯", "支", 385, "FE-05 FE-10"),
    ("深沟球轴承", "套", 86, "6204-2Z 6306-2Z"), ("机械密封件", "件", 158, "MS-25"),
    ("柱塞液压泵", "台", 8900, "HP-45"), ("气动执行器", "台", 1290, "PA-63"),
    ("称重模块", "套", 3260, "WM-500"), ("金属检测机", "台", 38500, "MD-40"),
    ("恒温恒湿箱", "台", 27600, "CH-225"), ("高速离心机", "台", 33900, "CF-16"),
    ("光谱分析仪", "台", 128000, "SA-9"), ("超声波清洗机", "台", 5600, "UC-30"),
    ("冷链温度记录仪", "只", 198, "TL-1 TL-3"), ("食品级输送带", "米", 320, "CB-600"),
    ("防爆接线箱", "只", 760, "EX-4"), ("电能质量分析仪", "台", 15400, "PQ-7"),
    ("导热硅脂", "桶", 540, "TG-5"), ("标准气体", "瓶", 880, "CG-8"),
    ("Calibration service", "次", 2400, "CAL-1"), ("Spare parts kit", "套", 1680, "SPK-2"),
)  # fmt: skip
WAREHOUSES = ("苏州一号库", "广州黄埔库", "北京大兴库", "成都青白江库")

# title, what it is about, expected amount in CNY from and to
PROSPECTS = (
    ("产线视觉检测设备采购", "客户计划在装配线末端增加视觉检测，替代人工抽检，要求年底前上线。", 280_000, 920_000),
    ("冷链温度记录仪年度框架", "客户自有冷库十二座，希望签一年框架，按月供货。", 120_000, 460_000),
    ("老旧空压机节能改造", "现有空压机能耗偏高，客户申请了节能改造预算，需要现场勘测后报价。", 180_000, 640_000),
    ("实验室仪器集中采购", "客户新建检测中心，离心机和恒温箱一并采购，走邀标流程。", 260_000, 1_100_000),
    ("包装车间金属检测机", "出口订单要求每条线配备金属检测，客户先上两条线试用。", 76_000, 310_000),
    ("伺服驱动系统升级", "客户的老设备停产，需要整体替换驱动和控制器，停机窗口只有一周。", 150_000, 720_000),
    ("轴承与密封件年度供货", "客户更换供应商，关注交期和批次一致性，已要样品。", 60_000, 350_000),
    ("智能仓储称重改造", "客户仓库扩容，分拣线需要动态称重模块，与现有系统对接。", 130_000, 580_000),
    ("污水站流量监测", "环保验收前要完成在线流量监测，客户对安装和校准有要求。", 90_000, 270_000),
    ("电能质量治理方案", "客户车间谐波超标，先做一周监测，再定治理方案。", 110_000, 390_000),
    ("食品级输送带更换", "三条生产线输送带到期，客户比较两家供应商的寿命和价格。", 48_000, 160_000),
    ("防爆区仪表扩容", "新罐区投产，需要防爆接线箱和压力变送器，资质要先过审。", 140_000, 520_000),
)  # fmt: skip
FOREIGN_PROSPECTS = (
    ("Vision inspection for two lines", "They want to replace manual sampling on two lines before the next audit.", 300_000, 900_000),
    ("Cold storage temperature loggers", "A yearly call-off order for loggers in all warehouses.", 120_000, 380_000),
    ("Replacement of pressure transmitters", "Current transmitters drift; they ask for samples and calibration records.", 90_000, 260_000),
    ("Laboratory centrifuges", "A new laboratory opens next year; three centrifuges and service are needed.", 150_000, 520_000),
)  # fmt: skip

# what to do, what came of it
PLAN = (
    ("电话了解需求和预算", "客户确认有预算，技术负责人会参与选型。下一步约现场。"),
    ("上门勘测现场", "现场条件符合，已拍照并量好尺寸。下一步出方案。"),
    ("提交技术方案和报价", "方案通过技术评审，客户希望价格再让两个点。"),
    ("安排样机试用", "试用两周，数据稳定，客户现场反馈良好。"),
    ("商务谈判", "付款方式谈妥：三成预付，验收后付清。"),
    ("确认合同条款", "合同已寄出，等客户盖章。"),
    ("邀请客户参观工厂", "客户一行四人参观了装配车间，对质检流程印象不错。"),
)  # fmt: skip
FOREIGN_PLAN = (
    ("Call about requirements and budget", "Budget is confirmed, the plant engineer will join. Next: site details."),
    ("Send technical proposal and quotation", "The proposal was accepted by engineering; purchasing asks for delivery dates."),
    ("Ship samples", "Samples arrived and passed the incoming inspection."),
    ("Negotiate terms", "30 % in advance and the rest after acceptance is agreed."),
)  # fmt: skip
FAILED = (
    "竞争对手低价中标，价差约一成。", "客户预算被取消，今年不再采购。", "客户改用原厂配件，不接受替代品。",
    "交期谈不拢，客户等不了八周。", "The customer chose a local supplier with on-site service.",
)  # fmt: skip
TERMINATED = ("客户暂停扩建，明年再议。", "联系不上决策人，三次拜访均未见到。", "客户资质审核未通过，按规定终止。")

# place, summary, detail
TALKS = (
    ("客户会议室", "回访近期使用情况", "设备运行正常，操作工反映界面字体偏小，已记下。"),
    ("电话", "确认下季度采购计划", "客户下季度产量持平，预计按原计划补货。"),
    ("客户车间", "现场查看设备运行", "查看了两条线，滤芯到了更换周期，建议一并备货。"),
    ("公司展厅", "接待客户参观", "客户一行三人参观，重点看了新款传感器。"),
    ("电话", "协商付款安排", "客户希望延长账期到六十天，已答应转告财务。"),
    ("行业展会", "展会上见面", "在展会上碰到采购负责人，聊了明年的技改计划。"),
    ("微信", "发送新产品目录", "客户对冷链记录仪感兴趣，要了报价。"),
    ("客户办公室", "讨论年度框架协议", "框架条款基本谈妥，只剩最低起订量。"),
    ("客户仓库", "处理到货数量差异", "清点后发现少两箱，已安排补发。"),
    ("视频会议", "技术答疑", "工程师解答了选型问题，客户会把方案交内部评审。"),
)  # fmt: skip
FOREIGN_TALKS = (
    ("Video call", "Quarterly review", "They are content with deliveries; asked for the calibration certificates earlier."),
    ("Phone", "Plans for the next quarter", "Demand is flat, the usual reorder is expected."),
    ("Trade fair", "Met at the fair", "Talked with the plant manager about next year's expansion."),
    ("E-mail", "Sent the new catalogue", "They asked for a quotation for loggers."),
    ("Customer's site", "Visited the plant", "Two lines run our sensors; the third one is planned for spring."),
)  # fmt: skip

# kind of measure (code), what was done
MEASURES = (
    ("call", "电话联系采购经理，了解暂停下单的原因：正在消化库存。"), ("visit", "与销售主管一起上门拜访，带去新产品目录。"),
    ("discount", "给出老客户九五折，有效期一个月。"), ("trial", "免费提供样机试用两周。"),
    ("service", "安排工程师上门免费保养一次。"), ("call", "再次电话跟进，客户答复月底前给准信。"),
)  # fmt: skip
FOREIGN_MEASURES = (
    ("call", "Called the purchasing manager: they are working off stock."), ("trial", "Offered two sensors for trial at no cost."),
)  # fmt: skip
# kind of reason (code), in whose words
LOSSES = (
    ("competitor", "改用竞争对手的产品，对方给了两年保价。"), ("closed", "工厂停产，设备已整体转让。"),
    ("price", "总部统一集采，价格降不到要求。"), ("service", "对去年一次延迟交货一直不满意。"),
    ("no_need", "产线外迁，本地不再需要这类设备。"),
)  # fmt: skip
FOREIGN_LOSSES = (
    ("competitor", "They signed with a local supplier for a year."),
    ("no_need", "Investments are frozen until further notice."),
)

# type (code), title, request, handling, what the customer said
TICKETS = (
    ("inquiry", "询问耗材替代型号", "原型号滤芯缺货，客户问能否用新型号替代，需要尺寸对照。",
     "核对了图纸，新滤芯外径小 0.2 毫米，配垫圈后可以替代，已把对照表和垫圈编号发给客户。", "客户试装一只，密封正常。"),
    ("inquiry", "滤芯停产后怎么替换", "客户设备用的老款滤芯停产，想知道可用的替代型号和更换周期。",
     "推荐新款滤芯加转接垫圈，建议三个月更换一次，随货附安装说明。", "客户按说明自行更换，没有渗漏。"),
    ("complaint", "离心机异响，影响批次交付", "高速运转时有周期性异响，客户已停机，请尽快派工程师。",
     "现场检查为转头轴承磨损，送备机一台，当天更换轴承并做动平衡。", "运行两天无异响，批次按期交付。"),
    ("complaint", "离心机转速上不去并有振动", "转速到六千转以上振动报警，样品无法处理。",
     "转头配平不良，清洁转轴并更换减震垫，重新做动平衡。", "满速运行稳定，客户认可。"),
    ("suggestion", "建议随货附中文校准证书", "客户质检部门希望每批货附纸质中文校准证书。",
     "和质检约定随货附证书，发货单上加一项核对。", "新批次已带证书，客户表示感谢。"),
    ("inquiry", "咨询年度校准服务", "客户有四十只变送器要校准，询问上门服务的价格和周期。",
     "报了上门校准的价格，四十只两天完成，周末可做，不影响生产。", "客户确认下月安排。"),
    ("complaint", "到货数量与发货单不符", "签收时少一箱轴承，已拍照。",
     "查出库录像，漏装一箱，当天补发并承担运费。", "补发已签收，数量一致。"),
    ("inquiry", "How to export logger data", "The customer asks how to export readings to a spreadsheet.",
     "Sent the short guide: menu, export, choose CSV, set the date range; checked one file with the customer.",
     "Exports work, readings match."),
    ("suggestion", "建议提供备件套餐", "客户希望把易损件打成套餐，减少每次询价。",
     "整理了三种套餐和年度价格，交销售报价。", "客户选了标准套餐。"),
    ("complaint", "触摸屏偶发死机", "运行两三天后触摸无响应，重新上电恢复。",
     "升级触摸屏固件到新版，并加装接地线。", "连续运行两周没有再死机。"),
)  # fmt: skip
FIRST_TRY = "远程指导客户重启设备并检查接线。"
NOT_YET = "问题又出现了，客户要求到现场处理。"
SETTLED = "客户接受处理结果。"
# title, content, satisfaction
FEEDBACK = (
    ("交货及时，包装完好", "比约定早到两天，外箱加了护角，仓库同事很满意。", 5),
    ("工程师现场服务专业", "故障当天解决，还顺带做了保养。", 5),
    ("希望增加在线查询发货进度", "目前要打电话问物流，希望能自己查。", 3),
    ("报价回复偏慢", "询价后三天才收到报价，影响内部审批。", 2),
    ("新款传感器读数稳定", "用了三个月，漂移比旧款小很多。", 4),
    ("Manuals in English are clear", "Our technicians set the units up without calling support.", 4),
)  # fmt: skip
# subject, content, remedy
COMPLAINTS = (
    ("外箱破损，两台设备受潮", "雨天运输未做防水，两台设备开箱后表面有水迹。", "已更换两台新机，物流商承担运费，后续加防水膜。"),
    ("发票信息有误", "税号少一位，财务无法入账。", "当天作废重开并快递。"),
    ("维修超过承诺时间", "承诺三天，实际用了九天，产线只能降速。", "赠送一次保养，并备一台周转机。"),
    ("批次不一致", "同型号两批轴承游隙不同，装配困难。", "整批换货，已要求厂家附检测报告。"),
    ("Wrong power plug delivered", "Units came with the wrong plugs.", "Adapters were sent by courier the same day."),
)  # fmt: skip
# kind, title, budget in CNY, outcome
ACTIVITIES = (
    ("fair", "工业自动化展览会", 180_000, "接待来访一百二十余人次，收集有效线索二十三条。"),
    ("seminar", "冷链温控技术研讨会", 36_000, "到场客户二十余家，三家当场要求报价。"),
    ("promotion", "老客户滤芯换新优惠", 52_000, "活动期内滤芯出货量比平时高四成。"),
    ("online", "传感器选型直播", 12_000, "在线观看三百余人，回放继续带来咨询。"),
    ("visit", "重点客户年终回访", 45_000, "走访十八家重点客户，确认明年框架十一份。"),
    ("fair", "Overseas partner days", 96_000, "Eleven partners came; two framework contracts were signed."),
    ("seminar", "新国标解读培训", 28_000, None),
    ("promotion", "春季备件套餐", 40_000, None),
)  # fmt: skip


@dataclass(frozen=True)
class Company:
    """An invented company as it would be typed in."""

    name: str
    foreign: bool
    region: str
    industry: str
    province: str
    city: str
    address: str
    postcode: str
    phone: str
    website: str


@dataclass(frozen=True)
class Person:
    """An invented person at a company."""

    name: str
    male: bool
    position: str
    mobile: str
    email: str


class Names:
    """Gives out companies and people, each company once, always the same for the same random numbers."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._lines = count(101)
        self._home = self._all_home()
        self._foreign = list(FOREIGN)
        rng.shuffle(self._foreign)

    def _all_home(self) -> list[tuple[str, str, tuple[str, ...], str]]:
        """Two companies for each trade name, in different cities and lines of business."""
        made: list[tuple[str, str, tuple[str, ...], str]] = []
        for trade in TRADE_NAMES:
            cities, lines = self.rng.sample(CITIES, 2), self.rng.sample(LINES, 2)
            made += [(trade, line, city, industry) for city, (line, industry) in zip(cities, lines, strict=True)]
        self.rng.shuffle(made)
        return made

    def company(self, *, foreign: bool = False) -> Company:
        """One more company."""
        if foreign:
            name, country, city, street, postcode, phone, industry = self._foreign.pop()
            host = "".join(c for c in name.split()[0].lower() if c.isascii() and c.isalpha())
            number = f"{phone}{next(self._lines) % 100 + 100}"
            return Company(
                name, True, "overseas", industry, country, city, f"{street}, {city}", postcode, number,
                f"https://{host}.example.com",
            )  # fmt: skip
        trade, line, (city, province, region, area, postcode, *roads), industry = self._home.pop()
        address = f"{province if province[:2] != city[:2] else ''}{city}市{self.rng.choice(roads)}{self.rng.randint(3, 680)}号"
        return Company(
            f"{city}{trade}{line}{self.rng.choice(SUFFIXES)}", False, region, industry, province, city, address,
            f"{postcode}{self.rng.randint(10, 99)}", f"{area}-0555 {next(self._lines):04d}",
            f"https://{pinyin(trade)}.example.com",
        )  # fmt: skip

    def person(self, *, foreign: bool = False) -> Person:
        """One more person; names may meet again, as they do."""
        male = self.rng.random() < 0.55
        men, women = (FOREIGN_MEN, FOREIGN_WOMEN) if foreign else (MEN, WOMEN)
        given = self.rng.choice(men if male else women)
        family = self.rng.choice(FOREIGN_FAMILY if foreign else FAMILY)
        name = f"{given} {family}" if foreign else family + given
        mobile = f"100 0555 {next(self._lines):04d}"
        local = f"{given}.{family}" if foreign else f"{pinyin(given)}.{pinyin(family)}"
        position = self.rng.choice(FOREIGN_POSITIONS if foreign else POSITIONS)
        return Person(name, male, position, mobile, f"{_plain(local)}{self.rng.randint(1, 99)}@example.com")


def pinyin(text: str) -> str:
    """The sounds of Chinese characters, as mail addresses have them."""
    return "".join(lazy_pinyin(text, style=Style.NORMAL))


def _plain(text: str) -> str:
    return "".join(c for c in text.lower() if c.isascii())
