//! The functions that scripts may call. A call of anything else is refused when the script is compiled, so this table
//! is at once the documentation and the fence.

/// One function, as documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// How it is called. A function whose first argument is `x` can be called as `x.name(…)` as well.
    pub signature: &'static str,
    /// What it does, in one sentence.
    pub does: &'static str,
    /// A condition that holds.
    pub example: &'static str,
}

const fn function(name: &'static str, signature: &'static str, does: &'static str, example: &'static str) -> Function {
    Function { name, signature, does, example }
}

/// Every function that a script may call, besides operators and what scripts define.
pub const FUNCTIONS: &[Function] = &[
    function(
        "has",
        "has(map, \"a.b.c\") -> bool",
        "Whether there is a value, not null, at the path.",
        r#"has(#{a: #{b: 1}}, "a.b")"#,
    ),
    function(
        "get",
        "get(map, \"a.b.c\", default)",
        "The value at the path, or the default where there is none.",
        r#"get(#{a: 1}, "b", 2) == 2"#,
    ),
    function(
        "matches",
        "matches(text, regex) -> bool",
        "Whether the linear-time regex matches somewhere in the text.",
        r#"matches("db-07", "^db-[0-9]+$")"#,
    ),
    function(
        "glob",
        "glob(text, pattern) -> bool",
        "Whether the whole text fits the glob.",
        r#"glob("db-07", "db-*")"#,
    ),
    function(
        "in_cidr",
        "in_cidr(ip, net) -> bool",
        "Whether the address lies in the network.",
        r#"in_cidr("10.1.2.3", "10.0.0.0/8")"#,
    ),
    function(
        "minutes_since",
        "minutes_since(unix_seconds) -> int",
        "Whole minutes from then to now, below zero ahead.",
        r#"minutes_since(now - 120) == 2"#,
    ),
    function(
        "contains",
        "contains(text, part) -> bool",
        "Whether the part is in the text, list, map or range.",
        r#""db-07".contains("07")"#,
    ),
    function(
        "starts_with",
        "starts_with(text, start) -> bool",
        "Whether the text begins so.",
        r#""db-07".starts_with("db")"#,
    ),
    function("ends_with", "ends_with(text, end) -> bool", "Whether the text ends so.", r#""db-07".ends_with("07")"#),
    function("to_lower", "to_lower(text) -> text", "The text in lower case.", r#""DB".to_lower() == "db""#),
    function("to_upper", "to_upper(text) -> text", "The text in upper case.", r#""db".to_upper() == "DB""#),
    function("trim", "trim(text) -> text", "The text without white space at both ends.", r#"" db ".trim() == "db""#),
    function("len", "len(x) -> int", "The number of characters, items or entries.", r#"len("db") == 2"#),
    function(
        "is_empty",
        "is_empty(x) -> bool",
        "Whether the text, list, map or range holds nothing.",
        r#"[].is_empty()"#,
    ),
    function(
        "sub_string",
        "sub_string(text, start[, length]) -> text",
        "The part from a character on, from the end if negative.",
        r#""db-07".sub_string(3, 2) == "07""#,
    ),
    function(
        "split",
        "split(text, separator) -> list",
        "The parts between the separators.",
        r#""a,b".split(",") == ["a", "b"]"#,
    ),
    function("join", "join(list, separator) -> text", "The items as one text.", r#"["a", "b"].join(",") == "a,b""#),
    function(
        "replace",
        "replace(text, from, to) -> text",
        "The text with every occurrence replaced.",
        r#""db-07".replace("db", "web") == "web-07""#,
    ),
    function(
        "index_of",
        "index_of(x, part) -> int",
        "Where the part begins in the text or list, or -1.",
        r#""db-07".index_of("-") == 2"#,
    ),
    function("to_string", "to_string(x) -> text", "The value as text.", r#"to_string(7) == "7""#),
    function("to_json", "to_json(map) -> text", "The map as JSON.", r#"to_json(#{a: 1}) == `{"a":1}`"#),
    function(
        "parse_int",
        "parse_int(text[, radix]) -> int",
        "The whole number that the text spells.",
        r#"parse_int("07") == 7"#,
    ),
    function(
        "parse_float",
        "parse_float(text) -> float",
        "The number that the text spells.",
        r#"parse_float("0.5") == 0.5"#,
    ),
    function("to_int", "to_int(number) -> int", "The number without its fraction.", r#"to_int(1.9) == 1"#),
    function(
        "to_float",
        "to_float(number) -> float",
        "The whole number as one with a fraction.",
        r#"to_float(1) == 1.0"#,
    ),
    function("abs", "abs(number)", "The number without its sign.", r#"abs(-1) == 1"#),
    function("sign", "sign(number) -> int", "-1, 0 or 1.", r#"sign(-3) == -1"#),
    function("floor", "floor(number) -> float", "Rounded down.", r#"floor(1.5) == 1"#),
    function("ceiling", "ceiling(number) -> float", "Rounded up.", r#"ceiling(1.5) == 2"#),
    function("round", "round(number) -> float", "Rounded to the nearest.", r#"round(1.6) == 2"#),
    function("min", "min(a, b)", "The smaller of two values of one type.", r#"min(1, 2) == 1"#),
    function("max", "max(a, b)", "The larger of two values of one type.", r#"max(1, 2) == 2"#),
    function(
        "range",
        "range(from, to[, step])",
        "The whole numbers from one to below the other, for loops.",
        r#"let sum = 0; for i in range(0, 3) { sum += i } sum == 3"#,
    ),
    function("type_of", "type_of(x) -> text", "The name of the value's type.", r#"type_of("a") == "string""#),
    function("keys", "keys(map) -> list", "The names in the map.", r#"keys(#{a: 1}) == ["a"]"#),
    function("values", "values(map) -> list", "The values in the map.", r#"values(#{a: 1}) == [1]"#),
    function("some", "some(list, |x| …) -> bool", "Whether the test holds for an item.", r#"[1, 2].some(|x| x > 1)"#),
    function("all", "all(list, |x| …) -> bool", "Whether the test holds for every item.", r#"[1, 2].all(|x| x > 0)"#),
    function(
        "filter",
        "filter(x, |item| …)",
        "The items or entries for which the test holds.",
        r#"[1, 2].filter(|x| x > 1) == [2]"#,
    ),
    function(
        "map",
        "map(list, |x| …) -> list",
        "What the function makes of each item.",
        r#"[1, 2].map(|x| x * 2) == [2, 4]"#,
    ),
    function(
        "find",
        "find(list, |x| …)",
        "The first item for which the test holds, or null.",
        r#"[1, 2].find(|x| x > 1) == 2"#,
    ),
    function(
        "find_map",
        "find_map(list, |x| …)",
        "The first value, not null, that the function makes of an item.",
        r#"["a", "b"].find_map(|x| if x == "b" { 1 } else { () }) == 1"#,
    ),
    function(
        "reduce",
        "reduce(list, |sum, x| …, start)",
        "The items folded into one value.",
        r#"[1, 2].reduce(|sum, x| sum + x, 0) == 3"#,
    ),
    function(
        "for_each",
        "for_each(list, |i| …)",
        "Calls the function for each item, which is `this`.",
        r#"let l = [1, 2]; l.for_each(|i| this *= 2); l == [2, 4]"#,
    ),
    function("sort", "sort(list[, |a, b| …])", "Orders the list in place.", r#"let l = [2, 1]; l.sort(); l == [1, 2]"#),
    function(
        "reverse",
        "reverse(list)",
        "Turns the list round in place.",
        r#"let l = [1, 2]; l.reverse(); l == [2, 1]"#,
    ),
    function(
        "dedup",
        "dedup(list)",
        "Drops repeated neighbours in place.",
        r#"let l = [1, 1, 2]; l.dedup(); l == [1, 2]"#,
    ),
    function("push", "push(list, item)", "Appends an item in place.", r#"let l = [1]; l.push(2); l == [1, 2]"#),
    function(
        "append",
        "append(list, other)",
        "Appends a list's items in place.",
        r#"let l = [1]; l.append([2]); l == [1, 2]"#,
    ),
    function(
        "insert",
        "insert(list, at, item)",
        "Inserts an item in place.",
        r#"let l = [2]; l.insert(0, 1); l == [1, 2]"#,
    ),
    function("pop", "pop(list)", "Takes the last item off.", r#"let l = [1, 2]; l.pop() == 2"#),
    function("shift", "shift(list)", "Takes the first item off.", r#"let l = [1, 2]; l.shift() == 1"#),
    function("remove", "remove(x, at)", "Takes an item or entry out.", r#"let l = [1, 2]; l.remove(0) == 1"#),
    function(
        "extract",
        "extract(list, start[, length]) -> list",
        "A copy of a part.",
        r#"[1, 2, 3].extract(1) == [2, 3]"#,
    ),
    function(
        "truncate",
        "truncate(list, length)",
        "Cuts the list in place.",
        r#"let l = [1, 2]; l.truncate(1); l == [1]"#,
    ),
    function("clear", "clear(x)", "Empties the list or map in place.", r#"let l = [1, 2]; l.clear(); l == []"#),
    function(
        "set",
        "set(x, at, value)",
        "Sets an item or entry in place.",
        r#"let l = [1, 2]; l.set(0, 3); l == [3, 2]"#,
    ),
    function(
        "zip",
        "zip(a, b, |x, y| …) -> list",
        "What the function makes of each pair.",
        r#"[1, 2].zip([3, 4], |x, y| x + y) == [4, 6]"#,
    ),
    function(
        "mixin",
        "mixin(map, other)",
        "Puts the other map's entries in, in place.",
        r#"let m = #{a: 1}; m.mixin(#{b: 2}); m == #{a: 1, b: 2}"#,
    ),
];
