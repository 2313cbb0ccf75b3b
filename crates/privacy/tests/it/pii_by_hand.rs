//! Texts that were written by hand, with what has to be found in them.
//!
//! They are not made from the templates of the corpus: they hold how such data
//! stands in chats, logs and forms, and what is easily taken for it.

use tenantry_privacy::pii::scan;

/// What has to be found stands in double brackets behind its kind.
const TEXTS: &[&str] = &[
    "Visa ending 1111, full: [[card~4111-1111-1111-1111]] cvv 123",
    "card no.:[[card~5555555555554444]];exp:12/28",
    "my amex [[card~3714 496353 98431]] please",
    r#"{"pan":"[[card~6011111111111117]]","cvv":"123"}"#,
    "[[card~4111 1111 1111 1111]]/[[card~5500 0000 0000 0004]]",
    "charge 50 to [[card~4012888888881881]] or [[card~4012 8888 8888 1881]]",
    "tracking 9405 5036 9930 0000 0000 00",
    "account 4111111111111112 does not exist",
    "UPS 1Z9999999999999999 and FedEx 7946 1234 5678",
    "Bitte auf [[iban~DE89 3704 0044 0532 0130 00]] überweisen, danke",
    "IBAN:[[iban~FR7630006000011234567890189]].",
    "iban [[iban~gb82 west 1234 5698 7654 32]] ok?",
    "[[iban~NL91-ABNA-0417-1643-00]]",
    "Email me: [[email~first.last@sub.example.co.uk]]!",
    r#"<a href="mailto:[[email~info@example.com]]">[[email~info@example.com]]</a>"#,
    r#""Ada" <[[email~ada@example.com]]>, Bob <[[email~bob_1@example.org]]>"#,
    "cc:[[email~a@b.co]],[[email~c@d.io]];[[email~e@f.net]]",
    "email=[[email~ada%2Btest@example.com]]&x=1",
    "user[at]example.com is hidden",
    "pip install git+https://github.com/a/b@v1.2.3",
    "scp file.txt [[email~deploy@host.example.com]]:/tmp",
    "ssh://git@gitlab.com/acme/x.git",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "call [[phone~(415) 555-2671 x 4]]",
    "[[phone~+1 415-555-2671]] / [[phone~+1 415-555-2672]]",
    "Tel:[[phone~+49(0)30-901820]]",
    "tel:[[phone~+14155552671]]",
    "phone=[[phone~4155552671]]&x=1",
    r#"{"phone_number": "[[phone~4155552671]]"}"#,
    r#"{"mobile": "[[phone~07911 123456]]"}"#,
    "WhatsApp [[phone~+91 98765-43210]]",
    "ring [[phone~0800 1111]] now",
    "fax [[phone~(020) 7946 0958]]",
    "meeting id 845 1234 5678, passcode 123456",
    "Zoom: 845-1234-5678",
    "room 212-456",
    "born 1985-04-12, id 850412-1234",
    "between 2019-2020 and 2021-2022",
    "score 10-12-15-20",
    "NPA 415-555 exchange",
    "flight LH 400, seat 12A, 14:30-16:45",
    "The ratio is 1.618033988749894848204586834365638117720309179805",
    "192.168.001.001",
    "ping [[ip~8.8.8.8]], [[ip~1.1.1.1]] and [[ip~2001:4860:4860::8888]]",
    "http://[[ip~10.0.0.5]]:3000/a?ip=[[ip~10.0.0.6]]",
    "X-Real-IP: [[ip~203.0.113.9]]",
    "inet6 [[ip~fe80::a00:27ff:fe4e:66a1]]/64",
    "Server nginx/1.18.0 at [[ip~203.0.113.9]] Port 443",
    "log4j-2.17.1.0.jar",
    "Windows 10.0.19045.3570",
    "IE 11.0.9600.1 and [[ip~11.0.96.1]]",
    "Section 3.2.1.4 says",
    "time 10:20:30:40",
    "MAC [[mac~3c:22:fb:12:34:56]], bssid=[[mac~3C-22-FB-12-34-56]]",
    "ab:cd:ef",
    "SHA1 fingerprint aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd",
    "SSN [[ssn~078-05-1120]], EIN 12-3456789",
    "Her social is [[ssn~219-09-9999]].",
    "ssn=[[ssn~219099999]]",
    "ZIP 12345-6789",
    "invoice 219-09-99999",
    "NHS No: [[nhs~943 476 5919]]",
    "nhsNumber=[[nhs~9434765919]]",
    "mongodb+srv://[[credentials~user:p4ss]]@cluster0.abc.mongodb.net/db",
    "https://[[credentials~x-access-token:abc123]]@github.com/a/b",
    "amqp://[[credentials~guest:guest]]@rabbit:5672/%2f",
    "http://example.com:80/@user:pass",
    "Bearer [[jwt~eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U]]",
    "OPENAI_API_KEY=[[api_key~sk-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL]]",
    "donate [[crypto~1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa]]!",
    "tx 0x88df016429689c079f3b2f6ad39fa052532c56795b733da78a91ebe6a713944b",
    "Отправь на [[email~ivan@yandex.ru]] или [[phone~+7 (912) 345-67-89]]",
    "مرحبا [[email~omar@example.com]] هاتف [[phone~0501234567]]",
    "メールは[[email~yuki@example.jp]]です",
    "電話番号は[[phone~03-1234-5678]]です",
    "联系[[phone~13800138000]]或[[email~wei@qq.com]]",
    "連絡先：[[phone~090-1234-5678]]",
    "Customer 4155552671 owes 415.55 USD",
    "$4155552671",
    "lat 37.7749, lon -122.4194",
    "v2.10.3.1-beta released",
    "uuid 550e8400-e29b-41d4-a716-446655440000",
];

/// A text without its marks, and what they say: kind, first byte, byte after the last.
fn unmarked(marked: &str) -> (String, Vec<(String, usize, usize)>) {
    let mut text = String::new();
    let mut labels = Vec::new();
    let mut rest = marked;
    while let Some((before, behind)) = rest.split_once("[[") {
        let (mark, behind) = behind.split_once("]]").unwrap();
        let (kind, value) = mark.split_once('~').unwrap();
        text += before;
        labels.push((kind.to_owned(), text.len(), text.len() + value.len()));
        text += value;
        rest = behind;
    }
    (text + rest, labels)
}

#[test]
fn what_is_marked_is_found_and_nothing_else() {
    for marked in TEXTS {
        let (text, expected) = unmarked(marked);
        let found: Vec<_> = scan(&text)
            .iter()
            .map(|finding| (finding.kind.as_str().to_owned(), finding.start, finding.end))
            .collect();
        assert_eq!(found, expected, "in {text:?}");
    }
}
