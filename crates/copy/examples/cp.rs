fn main() {
    use mapio_copy::*;
    struct O;
    impl Observer for O {
        fn failed(&self, e: Error) {
            let mut s = e.to_string();
            let mut x: &dyn std::error::Error = &e;
            while let Some(c) = x.source() {
                s += &format!(": {c}");
                x = c;
            }
            eprintln!("{s}");
        }
    }
    let mut o = CopyOptions::new();
    let mut names = vec![];
    for a in std::env::args_os().skip(1) {
        match a.to_str().unwrap_or("") {
            "-r" => {
                o = o.recursive().follow(Follow::Never);
            }
            "-j1" => o = o.threads(std::num::NonZero::new(1).unwrap()),
            "--atomic" => o = o.placement(Placement::Atomic),
            "-a" => {
                o = o.recursive().follow(Follow::Never).preserve(Preserve {
                    mode: ModeFrom::Source,
                    ownership: Attribute::Require,
                    timestamps: Attribute::Require,
                    links: Attribute::Require,
                    context: Attribute::Leave,
                    xattr: Attribute::Try,
                });
            }
            _ => names.push(std::path::PathBuf::from(a)),
        }
    }
    let t = names.pop().unwrap();
    let s = o.copy_all(&names, Target::Any(&t), &Meter::new(), &O);
    if std::env::var_os("V").is_some() {
        eprintln!("{s:?}");
    }
    std::process::exit((s.failed > 0) as i32)
}
