//! The framebuffer: what `embedded-graphics` draws is there, pixel by pixel, in every format.

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Circle, Line, PrimitiveStyle, Rectangle};
use mapio_device::model::screen::Bochs;
use mapio_device::model::{self, Memory, Simulated};
use mapio_device::screen::{Format, Framebuffer, Layout, Picture, bochs};
use mapio_device::{Error, Mmio, Width, bus};
use mapio_map::MapOptions;
use proptest::prelude::*;

/// Bytes at the end of each row that belong to no pixel.
const GAP: usize = 10;

fn layout(size: Size, format: Format) -> Layout {
    let packed = Layout::packed(size, format);
    Layout { stride_bytes: packed.stride_bytes + GAP, ..packed }
}

/// A screen that begins so many bytes behind a multiple of 8.
fn screen_behind(lead: usize, layout: Layout) -> Result<Framebuffer<Mmio>, Error> {
    let len = layout.len_bytes().expect("it is one");
    let mapping = MapOptions::read_write().len(lead + len).memfd("screen").expect("memory");
    let bus = Mmio::new(mapping, "screen").expect("this processor has it");
    Framebuffer::new(bus.part(lead..lead + len).expect("it is inside"), layout)
}

fn screen(layout: Layout) -> Framebuffer<Mmio> {
    Framebuffer::new(model::screen::framebuffer(layout).expect("memory"), layout).expect("it fits")
}

/// Something of every kind: lines, areas, single pixels, and parts outside.
fn draw<D: DrawTarget<Color = Rgb888>>(target: &mut D, at: Point, side: u32) -> Result<(), D::Error> {
    target.clear(Rgb888::new(0x10, 0x20, 0x88))?;
    let fill = PrimitiveStyle::with_fill(Rgb888::new(0xff, 0x80, 0x08));
    Circle::new(at, side).into_styled(fill).draw(target)?;
    Line::new(at, Point::new(20, 9)).into_styled(PrimitiveStyle::with_stroke(Rgb888::WHITE, 2)).draw(target)?;
    let area = Rectangle::new(at, Size::new(side, side / 2));
    target.fill_contiguous(
        &area,
        area.points().map(|point| Rgb888::new(if point.x % 2 == 0 { 255 } else { 0 }, 0, 255)),
    )?;
    target.fill_solid(&Rectangle::new(at + Point::new(3, 3), Size::new(side, 2)), Rgb888::GREEN)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_format_shows_what_is_drawn(
        format in prop::sample::select(&Format::ALL[..]),
        (width, height) in (1..60_u32, 1..20_u32),
        (x, y) in (-70..70_i32, -30..30_i32),
        side in 0..80_u32,
        lead in 0..8_usize,
    ) {
        let layout = layout(Size::new(width, height), format);
        let pixel_bytes = if format.bytes() == 3 { 1 } else { format.bytes() };
        let mut screen = screen_behind(lead / pixel_bytes * pixel_bytes, layout).expect("pixels are aligned");
        let mut wanted = Picture::new(layout.size).expect("a size");
        draw(&mut screen, Point::new(x, y), side).expect("memory");
        draw(&mut wanted, Point::new(x, y), side).expect("memory");
        let shown: Vec<_> = screen.picture().expect("memory").pixels().collect();
        let wanted: Vec<_> = wanted.pixels().map(|pixel| format.decode(format.encode(pixel))).collect();
        prop_assert!(shown == wanted);
        // Nothing is written between the rows.
        for y in 1..usize::try_from(height).expect("small") {
            for gap in 1..=GAP {
                prop_assert_eq!(bus::read::<u8>(screen.bus(), y * layout.stride_bytes - gap).expect("inside"), 0);
            }
        }
    }
}

/// Numbers at and around those where sums of 32 bits overflow, and such as are on a small screen.
fn corner() -> impl Strategy<Value = i32> {
    prop_oneof![Just(i32::MIN), Just(i32::MIN + 1), Just(i32::MAX - 3), Just(i32::MAX), -9..9_i32, any::<i32>()]
}

fn side() -> impl Strategy<Value = u32> {
    let half = 1_u32 << 31;
    prop_oneof![Just(half - 1), Just(half), Just(half + 3), Just(u32::MAX - 1), Just(u32::MAX), 0..9_u32, any::<u32>()]
}

/// Which pixel of an area a point is, row by row; `None` outside.
fn number(area: &Rectangle, point: Point) -> Option<u64> {
    let distance = |point: i32, corner: i32, side: u32| {
        u64::try_from(i64::from(point) - i64::from(corner)).ok().filter(|distance| *distance < u64::from(side))
    };
    let x = distance(point.x, area.top_left.x, area.size.width)?;
    let y = distance(point.y, area.top_left.y, area.size.height)?;
    Some(y * u64::from(area.size.width) + x)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn areas_that_reach_far_outside_show_their_part_that_is_inside(
        (x, y) in (corner(), corner()),
        (width, height) in (side(), side()),
        count in 0..40_u8,
    ) {
        let layout = layout(Size::new(6, 5), Format::Xrgb8888);
        let area = Rectangle::new(Point::new(x, y), Size::new(width, height));
        let (mut solid, mut repeated, mut counted) = (screen(layout), screen(layout), screen(layout));
        solid.fill_solid(&area, Rgb888::WHITE).expect("memory");
        // An end that never comes, of an iterator that is skipped at once.
        repeated.fill_contiguous(&area, std::iter::repeat(Rgb888::WHITE)).expect("memory");
        counted.fill_contiguous(&area, (0..count).map(|number| Rgb888::new(number, 1, 1))).expect("memory");
        for point in solid.bounding_box().points() {
            let number = number(&area, point);
            let wanted = number.map_or(Rgb888::BLACK, |_| Rgb888::WHITE);
            prop_assert_eq!(solid.pixel(point).expect("memory"), Some(wanted));
            prop_assert_eq!(repeated.pixel(point).expect("memory"), Some(wanted));
            let number = number.and_then(|number| u8::try_from(number).ok()).filter(|number| *number < count);
            let wanted = number.map_or(Rgb888::BLACK, |number| Rgb888::new(number, 1, 1));
            prop_assert_eq!(counted.pixel(point).expect("memory"), Some(wanted), "{:?} {}", area, point);
        }
    }
}

#[test]
fn no_colour_is_asked_for_behind_the_last_that_is_seen() {
    let mut screen = screen(Layout::packed(Size::new(4, 4), Format::Xrgb8888));
    for (area, wanted) in [
        // 4 rows of 5, but for the one pixel at the end that is to the right of the screen.
        (Rectangle::new(Point::new(0, 0), Size::new(5, u32::MAX)), 19),
        (Rectangle::new(Point::new(-2, -1), Size::new(3, 4)), 12),
        (Rectangle::new(Point::new(i32::MAX, 0), Size::new(10, 10)), 0),
        (Rectangle::new(Point::new(0, -5), Size::new(3, 5)), 0),
    ] {
        let mut asked = 0;
        let colours = std::iter::from_fn(|| {
            asked += 1;
            Some(Rgb888::WHITE)
        });
        screen.fill_contiguous(&area, colours).expect("memory");
        assert_eq!(asked, wanted, "{area:?}");
    }
}

#[test]
fn colours_that_end_draw_no_further_row() {
    let trace = mapio_device::Trace::new(Simulated::new(Memory::new(vec![0; 0x100])));
    let mut screen = Framebuffer::new(&trace, Layout::packed(Size::new(4, 4), Format::Xrgb8888)).expect("it fits");
    let area = Rectangle::new(Point::new(0, 0), Size::new(4, u32::MAX));
    let mut asked = 0;
    let colours = std::iter::from_fn(|| {
        asked += 1;
        (asked <= 6).then_some(Rgb888::WHITE)
    });
    screen.fill_contiguous(&area, colours).expect("memory");
    let places: Vec<_> = trace.take().into_iter().map(|record| (record.offset, record.width)).collect();
    assert_eq!(places, [0, 8, 16].map(|offset| (offset, Width::U64)));
    assert_eq!(asked, 7, "the end is met once");
}

#[test]
fn pixels_are_stored_by_the_widest_accesses_that_are_aligned() {
    let trace = mapio_device::Trace::new(Simulated::new(Memory::new(vec![0; 0x100])));
    let layout = Layout::packed(Size::new(7, 9), Format::Xrgb8888);
    let mut screen = Framebuffer::new(&trace, layout).expect("it fits");
    screen.fill_solid(&Rectangle::new(Point::new(1, 0), Size::new(6, 1)), Rgb888::WHITE).expect("memory");
    let accesses: Vec<_> = trace.take().into_iter().map(|record| (record.offset, record.width)).collect();
    let wide = [(8, Width::U64), (16, Width::U64)];
    assert_eq!(accesses, [&[(4, Width::U32)][..], &wide, &[(24, Width::U32)]].concat());
}

#[test]
fn a_bus_that_begins_between_pixels_is_an_error() {
    for format in Format::ALL {
        for lead in 0..16 {
            let layout = Layout::packed(Size::new(5, 3), format);
            let made = screen_behind(lead, layout);
            let is_aligned = match format.bytes() {
                3 => true,
                bytes => lead % bytes == 0,
            };
            assert_eq!(made.is_ok(), is_aligned, "{format} {lead}: {made:?}");
        }
    }
    let error = screen_behind(6, Layout::packed(Size::new(5, 3), Format::Xrgb8888)).expect_err("6 is no multiple of 4");
    let reason = "framebuffer: XRGB8888 begins at a multiple of 4 bytes, and the bus at one of 2";
    assert_eq!(error.to_string(), reason);
}

#[test]
fn a_layout_that_can_not_be_is_an_error() {
    let size = Size::new(10, 10);
    let packed = Layout::packed(size, Format::Rgb888);
    assert_eq!(packed.len_bytes().expect("it is one"), 300);
    let memory = || Simulated::new(Memory::new(vec![0; 299]));
    let error = Framebuffer::new(memory(), packed).expect_err("a byte too few").to_string();
    assert_eq!(error, "framebuffer: its pixels take 300 bytes, and there are 299");
    for wrong in [
        Layout { stride_bytes: 29, ..packed },
        Layout { size: Size::new(0, 10), ..packed },
        Layout { size: Size::new(10, 0), ..packed },
        Layout { stride_bytes: usize::MAX, ..packed },
        Layout::packed(Size::new(u32::MAX, u32::MAX), Format::Xrgb8888),
    ] {
        assert!(Framebuffer::new(memory(), wrong).is_err(), "{wrong:?}");
    }
    assert!(screen(packed).pixel(Point::new(10, 0)).expect("memory").is_none());
    assert!(screen(packed).pixel(Point::new(0, -1)).expect("memory").is_none());
}

#[test]
fn a_picture_drawn_partly_outside_shows_the_rest() {
    let layout = Layout::packed(Size::new(4, 4), Format::Xrgb8888);
    let mut picture = Picture::new(Size::new(3, 3)).expect("a size");
    for (number, point) in (1..).zip(picture.bounding_box().points()) {
        picture.draw_iter([Pixel(point, Rgb888::new(number, 0, 0))]).expect("it can't fail");
    }
    for corner in [Point::new(-1, -1), Point::new(2, 2), Point::new(5, 0), Point::new(0, -3)] {
        let mut screen = screen(layout);
        screen.draw_picture(&picture, corner).expect("memory");
        for point in screen.bounding_box().points() {
            let wanted = picture.pixel(point - corner).unwrap_or(Rgb888::BLACK);
            assert_eq!(screen.pixel(point).expect("memory"), Some(wanted), "{corner} {point}");
        }
    }
}

#[test]
fn a_mode_is_set_and_read_back_or_refused() {
    let display = Simulated::new(Bochs::new(16 << 20));
    for (format, bytes) in [(Format::Rgb565, 2), (Format::Rgb888, 3), (Format::Xrgb8888, 4)] {
        let layout = bochs::set_mode(&display, Size::new(640, 480), format).expect("it has that");
        assert_eq!(layout, Layout { size: Size::new(640, 480), format, stride_bytes: 640 * bytes });
    }
    let refused = |size: Size, format| bochs::set_mode(&display, size, format).expect_err("it has not");
    assert!(matches!(refused(Size::new(70_000, 1), Format::Rgb565), Error::Invalid { .. }));
    assert!(matches!(refused(Size::new(640, 480), Format::Bgr888), Error::Invalid { .. }));
    let large = refused(Size::new(60_000, 60_000), Format::Xrgb8888);
    assert!(matches!(large, Error::Unexpected { .. }), "{large}");
    assert!(matches!(refused(Size::new(0, 480), Format::Xrgb8888), Error::Unexpected { .. }));
    let none = bochs::set_mode(Simulated::new(Memory::new(vec![0xff; 0x600])), Size::new(640, 480), Format::Rgb565);
    let error = none.expect_err("there is no display").to_string();
    assert_eq!(error, "Bochs display: its registers are of version 0xffff, and not 0xb0c0 to 0xb0cf");
    assert!(bochs::set_mode(Simulated::new(Memory::new(vec![0; 4])), Size::new(640, 480), Format::Rgb565).is_err());
}

/// The attribute controller's index, which has whether the picture is shown, and the first colour of its palette.
fn shown(display: &Simulated<Bochs>) -> (u8, u8) {
    let read = |offset| bus::read::<u8>(display, offset).expect("it is inside");
    read(0x41a);
    let index = read(0x400);
    bus::write(display, 0x400, index & 0x20).expect("it is inside");
    let colour = read(0x401);
    read(0x41a);
    (index, colour)
}

#[test]
fn a_mode_shows_the_picture_whatever_the_attribute_controller_expects() {
    // Bits of miscellaneous output, and whether somebody has left it between an index and its data.
    for (output, is_between) in [(0, false), (0, true), (0x66, true), (0x67, false), (0x67, true)] {
        let display = Simulated::new(Bochs::new(16 << 20));
        let write = |offset, value: u8| bus::write(&display, offset, value).expect("it is inside");
        write(0x402, output);
        if is_between {
            write(0x400, 0x00);
        }
        for _ in 0..3 {
            bochs::set_mode(&display, Size::new(640, 480), Format::Xrgb8888).expect("it has that");
            let kept = bus::read::<u8>(&display, 0x40c).expect("it is inside");
            assert_eq!(kept, (output & !0x10) | 1, "the clock and the memory stay as they are");
        }
        assert_eq!(shown(&display), (0x20, 0), "{output:#x} {is_between}");
    }
}
