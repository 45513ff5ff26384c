use super::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

const SECRET: &str = "s3cr\"t/tok+n=ü?&16plus";

fn redactor() -> Redactor {
    Redactor::new([SECRET, "another-secret-of-24-byt"]).expect("it builds")
}

#[test]
fn text_without_a_secret_is_lent() {
    assert!(matches!(redactor().redact("nothing here"), Cow::Borrowed(_)));
    assert!(matches!(Redactor::none().redact(SECRET), Cow::Borrowed(_)));
    assert_eq!(Redactor::new([""]).expect("it builds").longest(), 0);
}

#[test]
fn every_printed_form_is_replaced() {
    let forms = [
        SECRET.to_owned(),
        serde_json::to_string(SECRET).expect("it serialises"),
        percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC).to_string(),
        percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC).to_string().to_lowercase(),
        form_urlencoded::byte_serialize(SECRET.as_bytes()).collect(),
        url::Url::parse_with_params("http://h/", [("k", SECRET)]).expect("it parses").to_string(),
        maud::html! { p title=(SECRET) { (SECRET) } }.into_string(),
        maud::html! { (serde_json::to_string(SECRET).expect("it serialises")) }.into_string(),
    ];
    for form in forms {
        let out = redactor().redact(&format!("a {form} b")).into_owned();
        assert!(out.contains(MASK), "{form} came through: {out}");
        assert!(!out.contains("tok"), "{form} came through: {out}");
    }
}

#[test]
fn overlapping_secrets_leave_no_rest() {
    let redactor = Redactor::new(["aaaaaaaaaaaaaaaabbbbbbbb", "bbbbbbbbcccccccccccccccc"]).expect("it builds");
    assert_eq!(redactor.redact("<aaaaaaaaaaaaaaaabbbbbbbbcccccccccccccccc>"), "<***>");
}

#[test]
fn a_replacement_cannot_spell_another_secret() {
    let redactor = Redactor::new(["0123456789abcdef", "left-half***right-half"]).expect("it builds");
    assert_eq!(redactor.redact("left-half0123456789abcdefright-half"), "***");
}

#[test]
fn a_secret_over_the_edge_of_a_part_is_replaced_whole() {
    let text = format!("head{SECRET}tail");
    for cut in 0..=text.len() {
        let head = redactor().redact_part(text.as_bytes(), 0..cut);
        let tail = redactor().redact_part(text.as_bytes(), cut..text.len());
        for part in [head, tail] {
            let part = String::from_utf8_lossy(&part).into_owned();
            assert!(!part.contains("s3") && !part.contains("us"), "cut at {cut}: {part}");
        }
    }
}

proptest! {
    #[test]
    fn no_secret_survives(
        secret in "\\PC{16,40}",
        before in any::<Vec<u8>>(),
        after in any::<Vec<u8>>(),
    ) {
        let redactor = Redactor::new([&secret]).expect("it builds");
        let joined = [&before[..], secret.as_bytes(), &after[..]].concat();
        let out = redactor.redact_bytes(&joined);
        prop_assert!(!out.windows(secret.len()).any(|window| window == secret.as_bytes()));
        for text in [STANDARD.encode(&joined), URL_SAFE.encode(&joined)] {
            let out = redactor.redact(&text).into_owned();
            // At most the two characters at either edge, which hold foreign bits too, may stay.
            prop_assert!(out.contains(MASK));
            prop_assert!(out.len() <= text.len() - (secret.len() * 8 / 6 - 2) + MASK.len());
        }
    }
}
